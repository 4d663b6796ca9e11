// BullMQ, newest first, on a Redis with appendfsync always: jobs a second that a worker does.
import { Queue, Worker } from "bullmq";
import { measured, order } from "./order.mjs";

const { redis, count } = order;
const { hostname, port, username, password } = new URL(redis);
const connection = {
  host: hostname,
  port: Number(port),
  username,
  password,
  maxRetriesPerRequest: null,
};
const name = `q${Date.now()}`;
const queue = new Queue(name, { connection });
const opts = { lifo: true, removeOnComplete: true, removeOnFail: true };
for (let n = 0; n < count; n += 500)
  await queue.addBulk(
    Array.from({ length: 500 }, (_, i) => ({ name: "task", data: { n: n + i }, opts })),
  );
let done = 0;
let end;
const all = new Promise((resolve) => (end = resolve));
const from = performance.now();
const worker = new Worker(name, async () => undefined, { connection, concurrency: 50 });
worker.on("completed", () => void (++done === count && end()));
await all;
measured(count, from);
