import { afterEach, expect, test } from "vitest";
import { AgentRuntimeError } from "../state/errors.ts";
import type { ChangeRow, PreparedUnit } from "../state/ports.ts";
import { Batcher } from "./batcher.ts";
import type { BatcherOptions } from "./batcher.ts";

/** A double of the store: it keeps each batch until the test answers it. */
class DoubleStore {
  readonly lanes: number;
  readonly batchBytes = 100;
  readonly batches: {
    lane: number;
    ids: string[];
    reserve: boolean;
    answer: (error?: Error) => void;
  }[] = [];
  disowned = 0;

  constructor(lanes = 1) {
    this.lanes = lanes;
  }

  disown(): void {
    this.disowned++;
  }

  commitBatch(
    lane: number,
    units: readonly PreparedUnit[],
    reserve: boolean,
  ): Promise<ChangeRow[][]> {
    const ids = units.map(({ changes }) => changes.map(({ id }) => id).join("+"));
    return new Promise((resolve, reject) => {
      const rows = ids.map((id) => [{ code: null, scope: id } as ChangeRow]);
      const answer = (error?: Error): void => (error ? reject(error) : resolve(rows));
      this.batches.push({ lane, ids, reserve, answer });
    });
  }
}

const open: Batcher[] = [];
let store: DoubleStore;

afterEach(async () => {
  for (const batcher of open.splice(0)) {
    const drained = batcher.drain();
    while (batcher.length > 0) {
      for (const batch of store.batches) batch.answer();
      await turn();
    }
    await drained;
  }
});

function batcherOn(double: DoubleStore, options: Partial<BatcherOptions> = {}): Batcher {
  store = double;
  const limits = { batchLimit: 4, queueLimit: 10, queueBytes: 1_000, timeoutMs: 60_000 };
  const batcher = new Batcher({ store, ...limits, ...options });
  open.push(batcher);
  return batcher;
}

function unit(
  id: string,
  rest: { body?: string; expectedVersion?: bigint; key?: string; step?: bigint } = {},
): PreparedUnit {
  const { body = "1", expectedVersion = null, key = null, step = null } = rest;
  const change = {
    op: "update",
    id,
    type: "note",
    body,
    phase: null,
    expectedVersion,
    basedOn: null,
    expiresAt: null,
  } as const;
  return {
    namespace: "default",
    scope: null,
    changes: [change],
    expectedStep: step,
    actor: null,
    cause: null,
    idempotencyKey: key,
  };
}

async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Adds them all, and answers batch after batch; which ids shared a transaction. */
async function batchesOf(
  units: readonly PreparedUnit[],
  options: Partial<BatcherOptions> = {},
): Promise<string[][]> {
  const batcher = batcherOn(new DoubleStore(), options);
  const tickets = units.map((one) => batcher.add(one, "scope", false));
  for (let answered = 0; batcher.length > 0; answered++) {
    await turn();
    store.batches[answered]?.answer();
    await turn();
  }
  await Promise.all(tickets.map(({ rows }) => rows));
  return store.batches.map(({ ids }) => ids);
}

test("what comes in one turn shares a transaction, up to the limit, in its order", async () => {
  expect(await batchesOf(["a", "b", "c", "d", "e"].map((id) => unit(id)))).toEqual([
    ["a", "b", "c", "d"],
    ["e"],
  ]);
});

test.each<[string, PreparedUnit[], string[][]]>([
  [
    "a run of plain updates of one state stays together",
    [unit("a"), unit("a"), unit("a")],
    [["a", "a", "a"]],
  ],
  [
    "a condition on a state waits for the write before it, and holds up the one after",
    [unit("a"), unit("a", { expectedVersion: 1n }), unit("a"), unit("b")],
    [["a", "b"], ["a"], ["a"]],
  ],
  [
    "one key is used in one transaction at a time",
    [unit("a", { key: "k" }), unit("b", { key: "k" }), unit("c")],
    [["a", "c"], ["b"]],
  ],
  [
    "a condition on a step ends a transaction, or begins one",
    [unit("a"), unit("b", { step: 1n }), unit("c"), unit("d", { step: 2n })],
    [["a", "c"], ["b"], ["d"]],
  ],
])("%s", async (_name, units, batches) => {
  expect(await batchesOf(units)).toEqual(batches);
});

test("a transaction ends before it grows too large; a large changeset goes alone", async () => {
  const sizes = { a: 40, b: 60, c: 1, d: 500, e: 99, f: 2 };
  const units = Object.entries(sizes).map(([id, size]) => unit(id, { body: "x".repeat(size) }));
  expect(await batchesOf(units, { batchLimit: 9 })).toEqual([
    ["a", "b"],
    ["c"],
    ["d"],
    ["e"],
    ["f"],
  ]);
});

test("while a lane is busy the next transaction gathers; another lane does not wait for it", async () => {
  const batcher = batcherOn(new DoubleStore(2));
  const scopes = ["s1", "s2", "s3", "s4", "s5", "s6"];
  void batcher.add(unit("first"), "s1", false);
  await turn();
  for (const scope of scopes) void batcher.add(unit(scope), scope, false);
  await turn();
  const [first, second] = store.batches;
  expect(store.batches).toHaveLength(2); // the busy lane has sent nothing more
  expect(second!.lane).not.toBe(first!.lane);
  expect(batcher.busyLanes).toBe(2);
  first!.answer();
  await turn();
  expect(store.batches[2]!.lane).toBe(first!.lane);
  expect([...second!.ids, ...store.batches[2]!.ids].toSorted()).toEqual(scopes);
});

test("states that may be new make the whole transaction look", async () => {
  const batcher = batcherOn(new DoubleStore());
  void batcher.add(unit("a"), "s", false);
  void batcher.add(unit("b"), "s", true);
  await turn();
  expect(store.batches[0]!.reserve).toBe(true);
});

test("what does not fit the queue is refused, by number and by bytes; one large write alone is not", async () => {
  const batcher = batcherOn(new DoubleStore(), { queueLimit: 3 });
  for (const id of ["a", "b", "c"]) void batcher.add(unit(id), "s", false);
  expect(() => batcher.add(unit("d"), "s", false)).toThrow(AgentRuntimeError);
  const other = batcherOn(store, { queueBytes: 100 });
  void other.add(unit("large", { body: "x".repeat(500) }), "s", false);
  expect(() => other.add(unit("small"), "s", false)).toThrow(/Too many writes are waiting/);
});

test("what is taken back never leaves, makes room, and does not gather in a lane that is stuck", async () => {
  const batcher = batcherOn(new DoubleStore(), { queueLimit: 3 });
  void batcher.add(unit("stuck"), "s", false);
  await turn();
  for (let i = 0; i < 1_000; i++) {
    const ticket = batcher.add(unit(`gone-${i}`), "s", false);
    const answer = expect(ticket.rows).rejects.toMatchObject({ code: "CANCELED" });
    expect([ticket.cancel(), ticket.cancel()]).toEqual([true, false]);
    await answer;
  }
  const last = batcher.add(unit("last"), "s", false);
  expect(batcher.length).toBe(2);
  store.batches[0]!.answer();
  await turn();
  expect(store.batches[1]!.ids).toEqual(["last"]);
  expect(last.cancel()).toBe(false);
});

test("a transaction that fails fails all in it, and the lane goes on", async () => {
  const batcher = batcherOn(new DoubleStore());
  const tickets = ["a", "b"].map((id) => batcher.add(unit(id), "s", false));
  await turn();
  const lost = new Error("lost");
  const answers = Promise.allSettled(tickets.map(({ rows }) => rows));
  store.batches[0]!.answer(lost);
  const failed = { status: "rejected", reason: lost };
  expect(await answers).toEqual([failed, failed]);
  void batcher.add(unit("c"), "s", false);
  await turn();
  expect(store.batches[1]!.ids).toEqual(["c"]);
});

test("whoever waits too long is answered: open where it was sent, and then the store is disowned", async () => {
  const batcher = batcherOn(new DoubleStore(), { timeoutMs: 500, batchLimit: 1 });
  const tickets = ["sent", "waiting"].map((id) => batcher.add(unit(id), "s", false));
  const facts = await Promise.all(
    tickets.map(({ rows }) => rows.catch((error: unknown) => (error as AgentRuntimeError).facts)),
  );
  expect(facts).toMatchObject([{ mayHaveHappened: true }, { mayHaveHappened: false }]);
  expect(store.disowned).toBeGreaterThan(0);
  store.batches[0]!.answer();
  await turn();
  expect(store.batches).toHaveLength(1);
});

test("draining waits for what was taken, refuses what comes, and is safe twice", async () => {
  const batcher = batcherOn(new DoubleStore());
  const ticket = batcher.add(unit("a"), "s", false);
  let isDrained = false;
  const drained = Promise.all([batcher.drain(), batcher.drain()]).then(() => (isDrained = true));
  expect(() => batcher.add(unit("b"), "s", false)).toThrow(/closed\. Nothing happened/);
  await turn();
  expect(isDrained).toBe(false);
  store.batches[0]!.answer();
  await drained;
  expect(await ticket.rows).toHaveLength(1);
});
