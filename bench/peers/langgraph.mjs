// LangGraph's saver on PostgreSQL: checkpoints of 1 KB put a second, 8 and 32 callers; the better of the two.
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { best, order, rateOf } from "./order.mjs";

const THREADS = 1_000;

const saver = new PostgresSaver(new pg.Pool({ connectionString: order.url, max: 32 }));
await saver.setup();
const state = { text: Array.from({ length: 1_000 }, () => Math.random().toString(36)[2]).join("") };
const last = new Map();
let step = 0;
const put = async (thread) => {
  const version = ++step;
  const checkpoint = {
    ...emptyCheckpoint(),
    id: uuid6(version),
    ts: new Date().toISOString(),
    channel_values: { state },
    channel_versions: { state: version },
    versions_seen: {},
  };
  const before = last.get(thread);
  const configurable = {
    thread_id: `t${thread}`,
    checkpoint_ns: "",
    ...(before && { checkpoint_id: before }),
  };
  await saver.put(
    { configurable },
    checkpoint,
    { source: "loop", step, parents: {} },
    { state: version },
  );
  last.set(thread, checkpoint.id);
};
const rates = [];
for (const callers of [8, 32]) {
  const share = Math.floor(THREADS / callers);
  rates.push(
    await rateOf(callers, (caller) => put(caller * share + Math.floor(Math.random() * share))),
  );
}
best(rates);
