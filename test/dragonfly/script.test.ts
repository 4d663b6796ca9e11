import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TestContext } from "vitest";
import { findParts } from "../../dev/services/tools.ts";
import { SCRIPT } from "../../src/dragonfly/guarded-write.ts";
import { proofLength } from "../support/length.ts";

const strict = readFileSync(new URL("strict.lua", import.meta.url), "utf8");
const numRuns = proofLength({ short: 500, full: 5_000 });

type Write = readonly [version: bigint, settled: bigint, text: string];

const number = (most: bigint): fc.Arbitrary<bigint> =>
  fc.oneof(
    fc.constantFrom(1n, 9n, 10n, 99n, 100n, 2n ** 53n - 1n, most - 1n, most),
    fc.bigInt({ min: 0n, max: most }),
  );
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom("", "7 8 ", "\u0000\n", "漢🜁"),
);
const writes = fc.array(fc.tuple(number(2n ** 63n - 1n), number(2n ** 53n - 1n), text), {
  minLength: 1,
  maxLength: 8,
});

// Redis runs Lua 5.1, DragonflyDB 5.4: of numbers they have different ideas.
describe.each([
  ["5.1", "lua51"],
  ["5.4", "lua54"],
] as const)("the script of a write, in Lua %s", (version, name) => {
  const run = (context: TestContext, script: string, cases: readonly Write[][]): string[] => {
    const { lua } = findParts();
    if (lua.missing !== undefined) {
      if (process.env["CI"] === "true") throw new Error(`missing: ${lua.missing}`);
      return context.skip(`missing: ${lua.missing}`);
    }
    const input = `SCRIPT = ${literal(script)}\nCASES = ${table(cases)}\n${strict}`;
    const { stdout, stderr } = spawnSync(lua[name], ["-"], { input, encoding: "utf8" });
    expect(stderr).toBe("");
    const [itself, ...lines] = stdout.trimEnd().split("\n");
    expect(itself).toBe(`Lua ${version}`);
    return lines;
  };

  test("keeps the newest version, and of one version what was read last", (context) => {
    const cases = fc.sample(writes, numRuns);
    expect(run(context, SCRIPT, cases)).toEqual(cases.map(expected));
  });

  test.for([
    [
      "a key that was not declared",
      "redis.call('GETRANGE', KEYS[1] .. '2', 0, 1)",
      "undeclared key",
    ],
    ["a second key", "redis.call('GETRANGE', KEYS[2], 0, 1)", "KEYS has no 2"],
    ["a command of others", "redis.call('DEL', KEYS[1])", "no command DEL"],
    ["a global", "found = 1", "may not be given found"],
    ["what a server does not have", "os.time()", "has no os"],
  ] as const)("would be refused with %s", ([, line, complaint], context) => {
    const [told] = run(context, `${line}\n${SCRIPT}`, [[[1n, 1n, ""]]]);
    expect(told).toMatch(/^error: script:1: /);
    expect(told).toContain(complaint);
  });
});

/** What it answers to each write, and what is there in the end. */
function expected(all: readonly Write[]): string {
  let kept: Write | undefined;
  const told = all.map((write) => {
    const [version, settled] = write;
    const isNewer =
      kept === undefined || version > kept[0] || (version === kept[0] && settled > kept[1]);
    if (isNewer) kept = write;
    return isNewer ? 1 : 0;
  });
  return `${told.join(",")}|${Buffer.from(kept!.join(" ")).toString("hex")}`;
}

function table(cases: readonly (readonly Write[])[]): string {
  const argv = (write: Write): string =>
    `{${[...write, "60000"].map((each) => literal(`${each}`)).join(",")}}`;
  return `{${cases.map((all) => `{${all.map(argv).join(",")}}`).join(",\n")}}`;
}

/** Byte by byte: any text is the same in both. */
function literal(value: string): string {
  return `"${[...Buffer.from(value)].map((byte) => `\\${`${byte}`.padStart(3, "0")}`).join("")}"`;
}
