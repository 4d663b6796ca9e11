import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runProgram } from "../support/child.ts";

test("demo lifo: in an empty folder, the service is killed: C, B, and A goes on at step 5", async () => {
  const folder = await mkdtemp(join(tmpdir(), "art-demo-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  // A database that the user has set is none of the demo's business.
  const env = { TMPDIR: folder, SUPABASE_DB_URL: "postgres://nobody@127.0.0.1:1/nothing" };
  const args = ["state", "demo", "lifo", "--step-ms", "0", "--json"];
  const { code, stdout, stderr } = await runProgram(args, { cwd: folder, env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const report = JSON.parse(stdout) as {
    readonly order: string[];
    readonly runs: Record<string, number[]>;
    readonly events: readonly { readonly what: string; readonly task?: string }[];
  };
  expect(report).toMatchObject({ wasKilled: true, steps: 21, doneAgain: 0 });
  expect(report.order).toEqual(["C", "B", "A"]);
  expect(report.runs["A"]).toEqual([1, 5]);
  const told = report.events
    .filter(({ what }) => what !== "step" && what !== "gives way")
    .map(({ what, task }) => (task === undefined ? what : `${task} ${what}`));
  expect(told).toEqual([
    "A pushed",
    "A begins",
    "B pushed",
    "B begins",
    "C pushed",
    "killed",
    "back",
    "C begins",
    "C ends",
    "B begins",
    "B ends",
    "A begins",
    "A ends",
  ]);
  expect(await readdir(folder)).toEqual([]);
}, 180_000);
