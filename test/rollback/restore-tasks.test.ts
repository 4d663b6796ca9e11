import { afterAll, beforeAll, expect, test } from "vitest";
import { testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { HandFollower, openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";
import { pushOf, Tasks } from "../support/tasks.ts";
import { restoreInto } from "./restored.ts";

const home = testHomes().find(({ name }) => name === "embedded")!;
const namespace = "w";

let pair: Pair;
let bench: Bench;

beforeAll(async () => {
  pair = await openPair(home);
  bench = await openBench(home);
});

afterAll(async () => {
  await bench.close();
  await pair.close();
});

test("the tasks of a restored main go on: the newest first, results with their parents, no zombie", async () => {
  const hand = await HandFollower.begin(pair);
  const former = new Tasks(pair.bench.openStore().tasks, namespace);
  const at = (ms: number): Date => new Date(Date.now() + ms);
  await former.push(pushOf("old", { priority: 2 }), pushOf("first"), pushOf("second"));
  await former.push(pushOf("later", { runAt: at(3_600_000), stack: "t" }));
  await former.push(pushOf("timer", { stack: "t" }), pushOf("parent", { stack: "p" }));
  await former.push(pushOf("event", { stack: "e" }), pushOf("dead", { stack: "d" }));
  const worker = { leaseMs: 60_000 };
  const old = await former.claimOne("before", { ...worker, stacks: ["s"] });
  expect(old.id).toBe("old");
  await former.report(old, "checkpoint", { resume: { at: 7 } });
  const timer = await former.claimOne("before", { ...worker, stacks: ["t"] });
  await former.report(timer, "wait", { body: { for: "timer", ms: 1 } });
  const parent = await former.claimOne("before", { ...worker, stacks: ["p"] });
  await former.push(
    pushOf("child-1", { stack: "c1", parent: "parent" }),
    pushOf("child-2", { stack: "c2", parent: "parent" }),
  );
  await former.report(parent, "wait", { body: { for: "child" } });
  const one = await former.claimOne("before", { ...worker, stacks: ["c1"] });
  await former.report(one, "complete", { body: { of: "child-1" } });
  const event = await former.claimOne("before", { ...worker, stacks: ["e"] });
  await former.report(event, "wait", { body: { for: "event", name: "go", timeoutMs: 3_600_000 } });
  const dead = await former.claimOne("before", { ...worker, stacks: ["d"] });
  await former.report(dead, "fail", { body: { error: { message: "no" }, retry: false } });
  await pair.manager.updateState("plain", "task", { not: "a task" }, { namespace });
  await hand.drain();
  await pair.copies.releaseLease(hand.epoch);

  const report = await restoreInto(bench.database, pair.rollback);
  expect(report).toMatchObject({ losses: [], tasks: 10, begunTasks: 4 });
  const store = bench.openStore().tasks;
  const tasks = new Tasks(store, namespace);

  // Whoever held one is a zombie; the sweep takes it over.
  expect((await tasks.report(old, "complete", { body: {} })).code).toBe("EPOCH_FENCED");
  for (let more = true; more;) more = (await store.sweep(100))?.more ?? false;
  expect(await tasks.stack()).toEqual(["old ready", "second ready", "first ready"]);
  const again = await tasks.claimOne("after", { ...worker, stacks: ["s"] });
  expect(again).toMatchObject({ id: "old", priority: 2, attempt: 2 });
  expect(again.epoch).toBeGreaterThan(old.epoch + 1_000n);
  expect((await tasks.report(again, "complete", { body: {} })).phase).toBe("completed");
  expect((await tasks.claimOne("after", { ...worker, stacks: ["s"] })).id).toBe("second");

  // A timer that rang meanwhile, one that is still to come, and one that waits for an event.
  expect(await tasks.claimOne("after", { ...worker, stacks: ["t"] })).toMatchObject({
    id: "timer",
  });
  expect(await tasks.read("later")).toMatchObject({ phase: "submitted" });
  expect(await tasks.read("event")).toMatchObject({ phase: "waiting" });
  await store.answer(namespace, "event", { event: "go", data: "null", actor: null });
  expect(await tasks.claimOne("after", { ...worker, stacks: ["e"] })).toMatchObject({
    id: "event",
  });

  // The result that was told is not told again; the one that is still to come is.
  expect(await tasks.read("parent")).toMatchObject({ phase: "waiting" });
  const two = await tasks.claimOne("after", { ...worker, stacks: ["c2"] });
  expect(two).toMatchObject({ id: "child-2", parent: "parent", depth: 1 });
  await tasks.report(two, "complete", { body: { of: "child-2" } });
  const told = await tasks.claimOne("after", { ...worker, stacks: ["p"] });
  expect(told).toMatchObject({ id: "parent", attempt: 1 });
  expect(told.results).toMatchObject([{ id: "child-1" }, { id: "child-2" }]);
  expect(await tasks.read("dead")).toMatchObject({ phase: "failed" });
});
