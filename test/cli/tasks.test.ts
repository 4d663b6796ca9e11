import { expect, test } from "vitest";
import { useService } from "./service.ts";

const service = useService();

async function json(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await service.output([...args, "--json"])) as Record<string, unknown>;
}

interface Claimed {
  readonly tasks: readonly { readonly id: string; readonly epoch: string }[];
}

async function post(path: string, body: object): Promise<unknown> {
  const response = await fetch(service.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return await response.json();
}

async function claim(stack: string): Promise<{ readonly id: string; readonly epoch: string }> {
  const who = { worker: "w", incarnation: "1", stacks: [stack], limit: 1 };
  return ((await post("/v1/tasks:claim", who)) as Claimed).tasks[0]!;
}

test("tasks are pushed, and a stack shows them in the order in which they run", async () => {
  expect(await service.output(["stack", "agent-1"])).toBe("agent-1 has no tasks\n");
  const pushed = await service.output(["push", "agent-1", "--id", "a", "--input", '{"n":1}']);
  expect(pushed).toBe("pushed a on agent-1: ready\n");
  await service.output(["push", "agent-1", "--id", "b", "--kind", "mail"]);
  await service.output(["push", "agent-1", "--id", "c", "--priority", "-1"]);
  const { items } = (await json("stack", "agent-1")) as { items: { id: string }[] };
  expect(items.map(({ id }) => id)).toEqual(["b", "a", "c"]);
  await claim("agent-1");
  const table = (await service.output(["stack", "agent-1"])).split("\n");
  expect(table[0]).toMatch(/TASK +PHASE +WORKER +FOR +KIND/);
  expect(table[1]).toMatch(/^b +working +w +\d+(?:\.\d+)? ?[a-zµ]+ +mail/);
  expect(table[2]).toMatch(/^a +ready +- +- /);
  expect(await service.output(["task", "b"])).toMatch(
    /worker +w since [\d-]+ [\d:]+, its lease until /,
  );
});

test("the same key pushes once", async () => {
  const push = ["push", "agent-2", "--key", "k", "--input", "1"];
  const [first, second] = [await json(...push), await json(...push)];
  expect(second["id"]).toBe(first["id"]);
});

test("one task is shown with what belongs to it; canceling takes the tree", async () => {
  await service.output(["push", "agent-3", "--id", "parent", "--input", '{"goal":"x"}']);
  await service.output(["push", "agent-3", "--id", "child", "--parent", "parent"]);
  const text = await service.output(["task", "parent"]);
  expect(text).toMatch(/^parent\n {2}stack +agent-3\n/);
  expect(text).toContain('"goal": "x"');
  expect(text).toMatch(/child +child ready/);
  const canceled = await service.output(["cancel", "parent", "--reason", "not needed"]);
  expect(canceled.trim().split("\n").toSorted()).toEqual(["child: canceled", "parent: canceled"]);
  expect(await service.run(["task", "nobody"])).toMatchObject({ code: 4 });
});

test("a task that waits for input is given it", async () => {
  await service.output(["push", "agent-4", "--id", "asks"]);
  const { epoch } = await claim("agent-4");
  await post("/v1/tasks/asks/wait", { epoch, for: "input", prompt: "really?" });
  expect(await service.output(["stack", "agent-4"])).toMatch(/asks +input_required .* input\n/);
  expect(await service.output(["input", "asks", "--data", '"yes"'])).toBe("asks: ready\n");
  expect(await json("task", "asks")).toMatchObject({
    results: [{ from: "input", data: "yes" }],
  });
});

test("a task that failed for good is listed, and pushed anew once", async () => {
  await service.output(["push", "agent-5", "--id", "dies", "--input", "7", "--attempts", "1"]);
  expect(await service.output(["dead", "list", "--stack", "agent-5"])).toBe("no task failed\n");
  const early = await service.run(["dead", "redrive", "dies"]);
  expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining("has not failed") });
  const { epoch } = await claim("agent-5");
  await post("/v1/tasks/dies/fail", { epoch, error: "no" });
  expect(await service.output(["dead", "list", "--stack", "agent-5"])).toMatch(
    /\ndies +agent-5 +failed/,
  );
  const again = await json("dead", "redrive", "dies");
  expect(again).toMatchObject({ stack: "agent-5", input: 7, supersedes: "dies", phase: "ready" });
  expect((await json("dead", "redrive", "dies"))["id"]).toBe(again["id"]);
});

test("a task that waits for its next attempt is tried now", async () => {
  await service.output(["push", "agent-6", "--id", "later"]);
  const { epoch } = await claim("agent-6");
  await post("/v1/tasks/later/fail", { epoch, error: "no", retryAfterMs: 3_600_000 });
  expect(await claim("agent-6")).toBeUndefined();
  expect(await service.output(["retry", "later", "--actor", "me"])).toBe("later: ready\n");
  expect(await claim("agent-6")).toMatchObject({ id: "later" });
});

test("bad input is refused, and says what would be right", async () => {
  for (const [args, says] of [
    [["push", "agent-7", "--preempt", "maybe"], "step, now, never"],
    [["push", "agent-7", "--deadline", "soon"], "--deadline takes a time"],
    [["push", "agent-7", "--priority", "1.5"], "whole number"],
    [["input", "x"], "--data"],
  ] as const) {
    const { code, stderr } = await service.run([...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
  }
});

test("the demo tells its story on a service that runs, and leaves it alone", async () => {
  const text = await service.output(["demo", "lifo", "--step-ms", "0"]);
  expect(text).toContain("▶ A goes on at step 5\n");
  expect(text).toMatch(/ {2}┌ B .*\n {2}│ C .*ready\n {2}└ A {2}●●●●○○○○ .*suspended\n/);
  expect(text).not.toContain("killed");
  expect(text).toContain("The order was C, B, A. A went on at step 5. 21 steps, each of them done");
});
