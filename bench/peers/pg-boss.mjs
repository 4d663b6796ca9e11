// pg-boss, 100 at a time: jobs a second that are fetched and completed.
import { PgBoss } from "pg-boss";
import { measured, order } from "./order.mjs";

const BATCH = 100;
const FETCHERS = 4;

const { url, count } = order;
const boss = new PgBoss({ connectionString: url, max: 16, supervise: false, schedule: false });
boss.on("error", console.error);
await boss.start();
const queue = `q${Date.now()}`;
await boss.createQueue(queue);
for (let n = 0; n < count; n += 1_000)
  await boss.insert(
    queue,
    Array.from({ length: 1_000 }, (_, i) => ({ data: { n: n + i } })),
  );
let done = 0;
const work = async () => {
  for (;;) {
    const jobs = await boss.fetch(queue, { batchSize: BATCH });
    if (jobs.length === 0) return;
    await boss.complete(
      queue,
      jobs.map(({ id }) => id),
    );
    done += jobs.length;
  }
};
const from = performance.now();
await Promise.all(Array.from({ length: FETCHERS }, work));
measured(done, from);
