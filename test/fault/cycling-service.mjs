// A service that is started and stopped again and again in one process, which tells what it still holds.
//
//   node --expose-gc cycling-service.mjs DIST
//
// Takes orders as messages, {"order": "start" | "worked" | "stop" | "look" | "weigh", ...}, and answers each.
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { queryObjects, writeHeapSnapshot } from "node:v8";

const [dist] = process.argv.slice(2);
const { loadConfigWithOrigins } = await import(`${dist}/config/load.js`);
const { openStateConsumer, startRuntime } = await import(`${dist}/runtime.js`);

const troubles = [];
for (const event of ["unhandledRejection", "uncaughtException", "warning"]) {
  process.on(event, (trouble) => {
    if (trouble?.name !== "ExperimentalWarning")
      troubles.push(`${event}: ${trouble?.stack ?? trouble}`);
  });
}

let lives;

const orders = {
  /** All that `agent_runtime state` starts, a worker on it, and a program's consumer of its changes. */
  async start({ env, cwd, group }) {
    const { config } = loadConfigWithOrigins({ flags: {}, env, cwd });
    const { messages, rocketmq } = config;
    const done = new Set();
    const runtime = await startRuntime(config);
    runtime.manager.startLifoTaskProcessor(async ({ id }, run) => {
      await run.effect("act", () => id);
      await run.checkpoint({ acted: true });
      done.add(id);
    });
    const way = { endpoints: rocketmq.endpoints, stateTopic: rocketmq.stateTopic };
    const settings = { messages, rocketmq: way };
    const consumer = openStateConsumer(settings, { group, onChange: () => undefined });
    lives = { runtime, consumer, done };
    return runtime.url;
  },
  /** Waits for a task of this life, and where it is told so for a change that came over the bus. */
  async worked({ task, consumes }) {
    const { consumer, done } = lives;
    while (!done.has(task) || (consumes && consumer.figures.handled === 0)) await sleep(10);
  },
  /** How many milliseconds that took. */
  async stop() {
    const { consumer, runtime } = lives;
    lives = undefined;
    const from = performance.now();
    await Promise.all([consumer.close(), runtime.stop()]);
    return performance.now() - from;
  },
  look: () => ({ troubles: troubles.splice(0), holds: held() }),
  /** Slow: the garbage is collected, and all that lives is counted. */
  async weigh({ snapshot }) {
    for (let times = 0; times < 3; times++) {
      globalThis.gc();
      await turn();
    }
    const heapBytes = process.memoryUsage().heapUsed;
    const objects = queryObjects(Object, { format: "count" });
    if (snapshot !== undefined) writeHeapSnapshot(snapshot);
    return { heapBytes, objects };
  },
};

/** What this process holds of the system, by kind: a number each. */
function held() {
  const counts = {};
  const count = (name, number = 1) => (counts[name] = (counts[name] ?? 0) + number);
  for (const resource of process.getActiveResourcesInfo()) count(`resource ${resource}`);
  for (const descriptor of readdirSync("/proc/self/fd")) count(`descriptor ${kindOf(descriptor)}`);
  for (const name of process.eventNames()) {
    count(`listener of ${String(name)}`, process.listenerCount(name));
  }
  count("thread", readdirSync("/proc/self/task").length);
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
  count("child", children.split(" ").filter((pid) => pid !== "").length);
  return counts;
}

function kindOf(descriptor) {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).replace(/:?\[\d+\]$/, "");
  } catch {
    return "of the list itself";
  }
}

process.on("message", (message) => void obey(message));
process.on("disconnect", () => process.exit());
process.send({ answer: "ready" });

async function obey({ order, ...details }) {
  try {
    process.send({ answer: await orders[order](details) });
  } catch (error) {
    process.send({ error: error?.stack ?? String(error) });
  }
}
