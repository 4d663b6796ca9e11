// A task processor in a process of its own, to be killed, frozen and kept busy.
//
//   node worker.mjs DIST WAY FILE
//
// WAY is {"service": URL} or {"database": URL, "leaseMs": N}, as JSON. What is done outside is a line in FILE.
// Says in lines what happens: ready | start ID EPOCH | end ID EPOCH REASON
import { appendFileSync, existsSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const [dist, wayText, file] = process.argv.slice(2);
const way = JSON.parse(wayText);
const say = (line) => writeSync(1, `${line}\n`);

const handlers = {
  /** Keeps the event loop busy for input.ms. */
  block: ({ input }) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, input.ms);
    return "blocked";
  },
  /** Counts once, outside; where that is in doubt, says so, and counts again if it is told to. */
  count: async ({ id, input }, run) => {
    const pause = () => sleep(Math.random() * input.ms);
    const inDoubt = input.again ? async () => appendFileSync(file, `doubt ${id}\n`) : "fail";
    await pause();
    await run.effect(
      "count",
      async () => {
        appendFileSync(file, `count ${id}\n`);
        say(`acting ${id}`);
        if (input.hang) await new Promise(() => setInterval(() => undefined, 60_000));
        await pause();
        return { by: process.pid };
      },
      { inDoubt },
    );
    await run.checkpoint({ counted: true });
    await pause();
    return "counted";
  },
  /** Eight steps; a checkpoint after each, and a halt in step input.halt while there is no file of input.gate. */
  steps: async ({ id, input, resumePoint }, run) => {
    for (let step = (resumePoint?.step ?? 0) + 1; step <= 8; step++) {
      appendFileSync(file, `${id} ${step}\n`);
      say(`step ${id} ${step}`);
      while (step === input.halt && !existsSync(input.gate)) await sleep(5);
      await run.checkpoint({ step });
    }
    return "stepped";
  },
};

const processor = (await openFace()).startLifoTaskProcessor(
  async (task, run) => {
    say(`start ${task.id} ${task.epoch}`);
    try {
      const result = await handlers[task.kind](task, run);
      say(`end ${task.id} ${task.epoch} ${run.signal.reason?.reason ?? "done"}`);
      return result;
    } catch (error) {
      say(
        `end ${task.id} ${task.epoch} ${error.reason ?? error.code ?? error.message} ${error.cause?.code ?? ""}`,
      );
      throw error;
    }
  },
  { concurrency: way.concurrency ?? 4, stacks: way.stacks ?? [], waitMs: 5_000 },
);
say(`ready ${processor.worker}`);

async function openFace() {
  if (way.service !== undefined) {
    const { HttpStateClient } = await import(`${dist}/client/http-client.js`);
    return HttpStateClient.open({ url: way.service });
  }
  const { StateManager } = await import(`${dist}/manager/state-manager.js`);
  const { openStateStore } = await import(`${dist}/supabase/state-store.js`);
  const { DEFAULT_LIMITS: limits } = await import(`${dist}/manager/limits.js`);
  const { leaseMs } = way;
  const connection = {
    address: { url: way.database },
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 30_000,
    lanes: 1,
    readers: 4,
  };
  const store = openStateStore({
    ...connection,
    dataBytes: limits.dataBytes,
    dataDepth: limits.dataDepth,
  });
  const entry = new URL(`file://${dist}/runtime/lease-thread.js`);
  const leaseThread = { entry, data: { way: connection, limits, settings: { leaseMs } } };
  return new StateManager({ store, limits, tasks: { leaseMs }, leaseThread });
}
