// graphile-worker with its local queue and batched completion: jobs a second, once they are all there.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { measured, order } from "./order.mjs";

const { url, count } = order;
const logger = new Logger(() => () => undefined);
const utils = await makeWorkerUtils({ connectionString: url, logger });
await utils.migrate();
for (let n = 0; n < count; n += 1_000) {
  const jobs = Array.from({ length: 1_000 }, (_, i) => ({
    identifier: "task",
    payload: { n: n + i },
  }));
  await utils.addJobs(jobs);
}
let done = 0;
let end;
const all = new Promise((resolve) => (end = resolve));
const from = performance.now();
const runner = await run({
  preset: {
    worker: {
      connectionString: url,
      concurrentJobs: 24,
      maxPoolSize: 24,
      pollInterval: 1_000,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
      logger,
    },
  },
  taskList: { task: () => void (++done === count && end()) },
  noHandleSignals: true,
  crontab: "",
});
await all;
await runner.stop(); // completions are batched: they count once they are told
measured(count, from);
