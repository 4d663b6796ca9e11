// An agent in a pod: works on the tasks of its own stack, and stops at a checkpoint when its pod is to go.
//
//   AGENT_ID=alice AGENT_RUNTIME_URL=http://127.0.0.1:8080 node examples/pod-agent.mjs
//   agent_runtime state push alice --input '{"steps": 3}'
import { setTimeout as pause } from "node:timers/promises";
import { HttpStateClient } from "../dist/client/http-client.js";

const { AGENT_ID, AGENT_RUNTIME_URL, AGENT_RUNTIME_TOKEN } = process.env;
const agent = AGENT_ID || "example";
const client = HttpStateClient.open({
  url: AGENT_RUNTIME_URL || "http://127.0.0.1:8080",
  ...(AGENT_RUNTIME_TOKEN ? { token: AGENT_RUNTIME_TOKEN } : {}),
});

async function work(task, run) {
  const steps = task.input?.steps ?? 1;
  for (let step = (run.resumePoint?.step ?? 0) + 1; step <= steps; step++) {
    await run.effect(`step ${step}`, () => console.log(`${task.id}: step ${step} of ${steps}`));
    await pause(500);
    await run.checkpoint({ step }); // gives way here if something newer came, or the pod is to go
  }
  return `${steps} steps by ${agent}`;
}

// With `agent` it stops by itself when the pod's preStop has taken the agent to `draining`.
client.startLifoTaskProcessor(work, { agent, stacks: [agent], concurrency: 1 });
console.log(`${agent} works`);

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    void client.close().then(() => process.exit(0));
  });
}
