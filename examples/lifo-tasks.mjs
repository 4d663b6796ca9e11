// An agent in step 4 of 8 is interrupted by B, and B by C; the process ends; another one goes on: C, then B, then A from step 5.
//
//   node examples/lifo-tasks.mjs
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StateManager } from "../dist/index.js";

const dataDir = mkdtempSync(join(tmpdir(), "lifo-tasks-"));
const open = () => StateManager.open({ dataDir, roles: ["main"] });

async function work(task, run) {
  const { name, steps } = task.input;
  for (let step = (run.resumePoint?.step ?? 0) + 1; step <= steps; step++) {
    const done = await run.effect(`step ${step}`, () => `${name}${step}`);
    console.log(`  ${done} of ${steps}`);
    await onStep(name, step);
    await run.checkpoint({ step }); // gives way here if something newer came
  }
  return `${name} is done`;
}

let onStep = async () => undefined;

console.log("a process");
let manager = await open();
let isHalted = false;
const halted = new Promise((resolve) => {
  onStep = async (name, step) => {
    if (name === "A" && step === 4)
      await manager.tasks.push("agent", { input: { name: "B", steps: 3 } });
    if (name === "B" && step === 1 && !isHalted) {
      isHalted = true;
      await manager.tasks.push("agent", { input: { name: "C", steps: 2 } });
      resolve();
    }
  };
});
await manager.tasks.push("agent", { id: "A", input: { name: "A", steps: 8 } });
manager.startLifoTaskProcessor(work, { concurrency: 1 });
await halted;
await manager.close();

console.log("another process");
manager = await open();
onStep = async () => undefined;
const ended = new Promise((resolve) => {
  manager.startLifoTaskProcessor(
    async (task, run) => {
      const result = await work(task, run);
      console.log(result);
      if (task.id === "A") setImmediate(resolve);
      return result;
    },
    { concurrency: 1 },
  );
});
await ended;
await manager.close();
rmSync(dataDir, { recursive: true });
