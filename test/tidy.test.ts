import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../src/service/package-root.ts";
import { ERROR_STATUS } from "../src/state/errors.ts";
import * as tidy from "./support/tidy.ts";

const documented = (tree: tidy.Tree): tidy.Finding[] => tidy.undocumentedErrors(tree, ERROR_STATUS);

describe("this repository", () => {
  const tree = trackedFiles();

  test("keeps its files short", () => expect(tidy.tooLong(tree)).toEqual([]));
  test("imports only downward", () => expect(tidy.wrongDirections(tree)).toEqual([]));
  test("knows each package in one folder", () => expect(tidy.strayPackages(tree)).toEqual([]));
  test("has no barrels", () => expect(tidy.barrels(tree)).toEqual([]));
  test("reads the clock in one file", () => expect(tidy.clockReads(tree)).toEqual([]));
  test("numbers its migrations", () => expect(tidy.misnumberedMigrations(tree)).toEqual([]));
  test("seals every package", () => expect(tidy.unsealedPackages(tree)).toEqual([]));
  test("documents every error code", () => expect(documented(tree)).toEqual([]));
  test("links to what is there", () => expect(tidy.deadLinks(tree)).toEqual([]));
  test("speaks of itself alone", () => expect(tidy.traces(tree)).toEqual([]));
});

describe("the checkers find what is planted:", () => {
  test("a file of 401 lines", () => {
    const tree = planted("src/state/long.ts", "x\n".repeat(401));
    expect(tidy.tooLong(tree)).toEqual([expect.stringContaining("401 lines")]);
    expect(tidy.tooLong(planted("src/state/long.ts", "x\n".repeat(400)))).toEqual([]);
  });

  test.each([
    ["src/state/a.ts", 'import { b } from "../service/b.ts";', "state may not import service"],
    ["src/state/a.ts", 'import {\n  b,\n} from "../cli/b.ts";', "state may not import cli"],
    ["src/supabase/a.ts", 'import "../embedded/b.ts";', "supabase may not import embedded"],
    ["src/supabase/sql/a.ts", 'import "../../server/b.ts";', "supabase may not import server"],
    ["src/server/a.ts", 'await import("../supabase/b.ts");', "server may not import supabase"],
    ["src/cli/a.ts", 'export type { B } from "../manager/b.ts";', "cli may not import manager"],
    ["src/manager/a.ts", 'import "../../test/b.ts";', "may not import outside of src"],
    ["src/helpers/a.ts", 'import "../state/b.ts";', "helpers is no layer"],
  ])("a wrong direction, from %s by %s", (path, text, finding) => {
    expect(tidy.wrongDirections(planted(path, text))).toEqual([expect.stringContaining(finding)]);
  });

  test("and imports that go down, or stay, are fine", () => {
    const text = 'import "./b.ts";\nimport "../state/c.ts";\nimport x from "node:fs";';
    expect(tidy.wrongDirections(planted("src/manager/a.ts", text))).toEqual([]);
  });

  test.each([
    ["src/manager/a.ts", 'import pg from "pg";', "pg belongs to src/supabase/"],
    ["src/cli/a.ts", 'import type { Span } from "@opentelemetry/api";', "belongs to src/service/"],
    ["src/cli/a.ts", 'import _ from "lodash/fp";', "lodash has no folder"],
  ])("a stray package, in %s by %s", (path, text, finding) => {
    expect(tidy.strayPackages(planted(path, text))).toEqual([expect.stringContaining(finding)]);
    expect(tidy.strayPackages(planted("src/supabase/a.ts", 'import pg from "pg";'))).toEqual([]);
  });

  test.each([
    ["src/state/a.ts", 'export * from "./b.ts";'],
    ["src/state/a.ts", 'export { b } from "./b.ts";'],
    ["src/state/index.ts", "export const a = 1;"],
  ])("a barrel, %s with %s", (path, text) => {
    expect(tidy.barrels(planted(path, text))).toHaveLength(1);
    expect(tidy.barrels(planted("src/index.ts", 'export { b } from "./b.ts";'))).toEqual([]);
  });

  test("a package without integrity", () => {
    const lock = (entry: object): tidy.Tree =>
      planted(
        "package-lock.json",
        JSON.stringify({ packages: { "": {}, "node_modules/a": entry } }),
      );
    expect(tidy.unsealedPackages(lock({ version: "1.0.0" }))).toHaveLength(1);
    expect(tidy.unsealedPackages(lock({ version: "1.0.0", integrity: "sha512-x" }))).toEqual([]);
  });

  test.each(["const t = Date.now();", "new Date()", "wait(Date.now)"])("a clock, %s", (text) => {
    expect(tidy.clockReads(planted("src/manager/a.ts", text))).toHaveLength(1);
    expect(tidy.clockReads(planted("src/service/clock.ts", text))).toEqual([]);
    expect(tidy.clockReads(planted("src/manager/a.ts", `// not ${text}`))).toEqual([]);
  });

  test("a gap, a double and a bad name among migrations", () => {
    const named = (...names: string[]): tidy.Finding[] =>
      tidy.misnumberedMigrations(new Map(names.map((name) => [`migrations/main/${name}`, ""])));
    expect(named("0001_a.sql", "0002_b.sql")).toEqual([]);
    expect(named("0001_a.sql", "0003_c.sql")).toHaveLength(1);
    expect(named("0001_a.sql", "0001_b.sql")).toHaveLength(1);
    expect(named("0001-A.sql")).toHaveLength(1);
  });

  test("an error code that is missing, unknown, or has another status", () => {
    const of = (row: string): tidy.Finding[] =>
      tidy.undocumentedErrors(planted("docs/errors.md", row), { GONE: 410 });
    expect(of("| `GONE` | 410 | It was deleted. | Read an older version. |")).toEqual([]);
    expect(of("| `GONE` | 404 | It was deleted. | Read an older version. |")).toHaveLength(1);
    expect(of("")).toEqual([expect.stringContaining("needs a row for `GONE`")]);
    expect(of("| `GONE` | 410 | a | b |\n| `LOST` | 500 | a | b |")).toEqual([
      expect.stringContaining("`LOST` is no code"),
    ]);
  });

  test.each(["[a](gone.md)", "[a](#gone)", "[a](../README.md#gone)", "[a](../gone/)"])(
    "a dead link, %s",
    (link) => {
      const tree = planted("docs/a.md", `# A part\n\n${link}`);
      tree.set("README.md", "# Start");
      expect(tidy.deadLinks(tree)).toHaveLength(1);
    },
  );

  test("and links to files, folders, headings and other places are fine", () => {
    const links = "[a](a.md) [b](#a-part) [c](../src) [d](../README.md#the-start) [e](https://x.y)";
    const tree = planted("docs/a.md", `# A \`part\`\n\n${links}\n\`\`\`\n[x](gone.md)\n\`\`\``);
    tree.set("README.md", "## The start").set("src/a.ts", "");
    expect(tidy.deadLinks(tree)).toEqual([]);
  });

  test.each([
    ["/", "root", "/x"],
    [" /", "work", "/main"],
    ["../", "shared", "/API.md"],
    ["https://registry", ".npmjs", ".org"],
    ['    "resolved"', ": ", '"x"'],
    ["// TO", "DO", ": later"],
    ["test", ".only", "()"],
  ])("a trace: %s%s%s", (...parts) => {
    expect(tidy.traces(planted("docs/a.md", parts.join("")))).toHaveLength(1);
  });
});

function planted(path: string, text: string): Map<string, string> {
  return new Map([[path, text]]);
}

function trackedFiles(): tidy.Tree {
  const root = packageRoot();
  // What is new counts before it is committed; what is ignored never does.
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
  const paths = execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\0");
  const texts = paths.filter((path) => path !== "" && !/\.(gz|png|jsonl?)$/.test(path));
  return new Map(
    [...texts, "package-lock.json"].flatMap((path) => {
      const text = readIfThere(join(root, path));
      return text === undefined ? [] : [[path, text] as const];
    }),
  );
}

/** Undefined for a file that was removed and is not committed yet. */
function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
