import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../service/package-root.ts";
import { CommandFailed } from "../failure.ts";
import { planRun } from "./plan-run.ts";
import { readRuns, repeatRuns } from "./read-runs.ts";

const examples = join(packageRoot(), "examples");

function example(name: string): ReturnType<typeof readRuns> {
  return readRuns(readFileSync(join(examples, name), "utf8"), `examples/${name}`);
}

test("a run of SWE-agent is its request, its actions and what they returned, with times", () => {
  const [run, ...others] = example("swe-agent-marshmallow-1867.traj.json");
  expect(others).toEqual([]);
  expect(run).toMatchObject({
    name: "swe-agent-marshmallow-1867",
    source: "SWE-agent",
    briefing: [{ role: "system" }],
    outcome: { isGood: true, result: { exitStatus: "submitted" } },
  });
  expect(run!.request["content"]).toContain("TimeDelta serialization precision");
  expect(run!.events).toHaveLength(22);
  expect(run!.events[0]).toMatchObject({ kind: "calls", calls: [{ name: "create", key: "0" }] });
  expect(run!.events[1]).toMatchObject({
    kind: "returns",
    key: "0",
    durationMs: expect.closeTo(239.6, 1),
    message: { role: "tool", state: { working_dir: "/testbed" } },
  });
});

test("a run of SWE-agent without times, and with its place as text, is read as well", () => {
  const [run] = example("swe-agent-pydicom-1458.traj.json");
  expect(run!.events).toHaveLength(24);
  expect(run!.events[1]).not.toHaveProperty("durationMs");
  expect(run!.events[1]).toMatchObject({
    message: { state: { open_file: "n/a", working_dir: "/pydicom__pydicom" } },
  });
});

test("runs of tau-bench are one a line, with the calls of each message", () => {
  const runs = example("tau-airline.jsonl");
  expect(runs.map(({ name, outcome }) => [name, outcome.isGood])).toEqual([
    ["tau-12-1", true],
    ["tau-47-2", false],
    ["tau-49-2", true],
  ]);
  const [first] = runs;
  expect(first!.briefing).toHaveLength(1);
  expect(first!.request).toMatchObject({ role: "user" });
  const call = first!.events.find(({ kind }) => kind === "calls");
  expect(call).toMatchObject({ calls: [{ arguments: expect.any(Object) }] });
});

test("every example can be replayed, and each call of a tool comes back with its result", () => {
  const files = readdirSync(examples).filter((name) => !/\.(md|mjs)$/.test(name));
  expect(files.length).toBeGreaterThanOrEqual(3);
  for (const run of files.flatMap(example)) {
    const plan = planRun(run, "");
    const ended = plan.steps
      .flatMap(({ changes }) => changes)
      .filter(({ phase }) => phase === "completed" || phase === "failed");
    expect(ended).toHaveLength(plan.tasks);
  }
});

test("a file that holds fewer runs than asked for starts over, under other names", () => {
  const names = repeatRuns(example("tau-airline.jsonl"), 5).map(({ name }) => name);
  expect(names).toEqual(["tau-12-1", "tau-47-2", "tau-49-2", "tau-12-1.2", "tau-47-2.2"]);
});

test.each([
  ["", "is empty"],
  ["\n\n", "is empty"],
  ["nonsense", "line 1: not JSON"],
  ['{"traj":[{"role":"user","content":"x"}]}\n{"traj":', "line 2: not JSON"],
  ["{}", "no recorded run"],
  ["[1,2]", "no recorded run"],
  ['{"traj":[]}', "no recorded run"],
  ['{"trajectory":[],"history":[]}', "no recorded run"],
  ['{"trajectory":"x","history":[]}', "no recorded run"],
])("a file that holds %j is refused", (text, says) => {
  expect(() => readRuns(text, "runs.jsonl")).toThrow(CommandFailed);
  expect(() => readRuns(text, "runs.jsonl")).toThrow(says);
});

test("strange records are read as far as they make sense", () => {
  const odd = {
    traj: [
      { role: "user", content: "help" },
      "not a message",
      { role: "assistant", content: "x", tool_calls: [{ function: { arguments: "{broken" } }, 7] },
      { role: "tool", tool_call_id: "nobody asked", content: "y" },
    ],
  };
  const [run] = readRuns(JSON.stringify(odd), "odd.jsonl");
  expect(run!.events).toMatchObject([
    { kind: "calls", calls: [{ key: "0", name: "tool", arguments: "{broken" }] },
    { kind: "returns", key: "nobody asked" },
  ]);
  expect(() => planRun(run!, "")).not.toThrow();
});
