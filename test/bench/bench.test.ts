import { mkdtempSync, readFileSync, readdirSync, chmodSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCENARIOS } from "../../bench/scenarios.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import { Child } from "../support/child.ts";
import { proofLength } from "../support/length.ts";

const RUN_MS = 300_000;

/** One for each kind of part that scenarios are made of; all in the long form. */
const FEW = ["updates", "cache", "http", "recorded", "rollback"];
/** It may have to be left out, where no containers can be run: test/captor/bench.prove.ts. */
const ELSEWHERE = "captor";
const ALL = SCENARIOS.filter(
  ({ name, isOnlyNamed }) => name !== ELSEWHERE && isOnlyNamed !== true,
).map(({ name }) => name);
const MEASURED = proofLength({ short: FEW, full: ALL });

interface Line {
  readonly scenario: string;
  readonly name: string;
  readonly ours: { readonly median: number; readonly rounds: readonly number[] };
  readonly ratio?: { readonly median: number };
  readonly bar: object | null;
  readonly met: boolean | null;
}

const folder = mkdtempSync(join(tmpdir(), "art-benchtest-"));
chmodSync(folder, 0o711); // PostgreSQL, as another user, works below it.
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function startBench(...args: string[]): Child {
  const run = join(packageRoot(), "scripts", "run.mjs");
  return new Child(process.execPath, [run, "bench/main.ts", "--quick", ...args], {
    cwd: packageRoot(),
    env: { TMPDIR: folder },
  });
}

describe("the quick form of the benchmark", () => {
  let lines: readonly Line[] = [];
  let table = "";

  beforeAll(async () => {
    const file = join(folder, "results.json");
    const bench = startBench("--json", file, "--only", MEASURED.join(","));
    const { code } = await bench.ended();
    expect(code, bench.stderr).toBe(0);
    table = bench.stdout;
    lines = (JSON.parse(readFileSync(file, "utf8")) as { readonly figures: Line[] }).figures;
    rmSync(file);
  }, RUN_MS);

  test.each(MEASURED)("measures %s", (scenario) => {
    const own = lines.filter((line) => line.scenario === scenario);
    expect(own).not.toEqual([]);
    for (const { name, ours, ratio, bar, met } of own) {
      expect(table).toContain(name);
      expect(ours.median).toBeGreaterThan(0);
      expect(ours.rounds.every((value) => Number.isFinite(value))).toBe(true);
      if (ratio !== undefined) expect(ratio.median).toBeGreaterThan(0);
      expect(met).toEqual(bar === null ? null : expect.any(Boolean));
    }
  });

  test("leaves nothing behind", () => expect(readdirSync(folder)).toEqual([]));
});

test(
  "a benchmark that is interrupted ends its servers and removes its files",
  async () => {
    const bench = startBench("--only", "updates", "--rounds", "600");
    await bench.says(/round 1 of 600: pool/, { on: "stderr", timeoutMs: RUN_MS });
    const { code } = await bench.kill("SIGINT");
    expect(code, bench.stderr).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  },
  RUN_MS,
);

test("a benchmark of an unknown name says which there are", async () => {
  const bench = startBench("--only", "speed");
  expect(await bench.ended()).toMatchObject({ code: 2 });
  expect(bench.stderr).toMatch(/no scenario speed; there are updates, hot/);
});
