import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageVersion } from "../../src/service/package-root.ts";
import { run } from "./fake-terminal.ts";

const COMMANDS = [
  "serve",
  "migrate",
  "get",
  "set",
  "delete",
  "list",
  "history",
  "diff",
  "scope",
  "rollback",
  "stack",
  "push",
  "fsck",
  "doctor",
  "watch",
  "export",
  "import",
  "replay",
  "bench",
];

let folder: string;
/** The option of a service that is not there. */
let nowhere: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "art-cli-"));
  nowhere = ["--url", `http://127.0.0.1:${await freePort()}`];
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(COMMANDS)("%s explains itself, with examples", async (command) => {
  const { code, stdout, stderr } = await run(["state", command, "--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(
    /Usage: agent_runtime state [^]*\nExamples:\n {2}\S*.*agent_runtime state/,
  );
});

test("the help of the group names every command and every exit code", async () => {
  const { code, stdout } = await run(["state", "--help"]);
  expect(code).toBe(0);
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command} `, "m"));
  expect(stdout).toContain("5 unavailable");
});

test.each([[["--version"]], [["state", "--version"]], [["-V"]]])("%j says it", async (args) => {
  expect(await run(args)).toEqual({ code: 0, stdout: `${packageVersion()}\n`, stderr: "" });
});

test.each<[string[], string]>([
  [[], "Usage: agent_runtime"],
  [["stat"], "Did you mean state?"],
  [["state", "gett", "a"], "Did you mean get?"],
  [["state", "nonsense"], "unknown command"],
  [["state", "get"], "missing required argument 'id'"],
  [["state", "get", "a", "b"], "too many arguments"],
  [["state", "get", "a", "--versoin", "3"], "Did you mean --version?"],
  [["state", "get", "a", "--version", "zero"], "whole number"],
  [["state", "get", "a", "--url", "nowhere"], "not the address of a service"],
  [["state", "--lisen", "127.0.0.1:0"], "Did you mean --listen?"],
  [["state", "serve", "extra"], "too many arguments"],
  [["state", "set", "a"], "--data, --merge, --append or --phase"],
  [["state", "set", "a", "--data", "1"], "--data needs --type"],
  [["state", "set", "a", "--type", "note"], "--type is only for --data"],
  [["state", "set", "a", "--type", "note", "--data", "{"], "--data: the text is not valid JSON"],
  [["state", "set", "a", "--type", "x", "--data", '{"k":1,"k":2}'], "line 1, column 8"],
  [["state", "set", "a", "--merge", '{"n":9007199254740993}'], "--merge: "],
  [["state", "push", "a", "--input", "{"], "--input: the text is not valid JSON"],
  [["state", "push", "a", "--deadline", "1"], "--deadline takes a time like"],
  [["state", "set", "a", "--type", "note", "--data", "@missing.json"], "no such file"],
  [["state", "set", "a", "--type", "note", "--data", "@."], "is a folder"],
  [["state", "set", "a", "--merge", "{}", "--data", "{}"], "cannot be used with"],
  [["state", "set", "a", "--append", "/x"], "POINTER=JSON"],
  [["state", "set", "a", "--phase", "x", "--create-only", "--if-version", "1"], "cannot be used"],
  [["state", "list", "--limit", "1001"], "from 1 to 1000"],
  [["state", "diff", "a", "--from", "-1"], "from 1 up"],
  [["state", "replay", "missing.jsonl"], "no such file"],
  [["state", "replay", "a", "--speed", "fast"], "recorded, full"],
  [["state", "import", "missing.jsonl"], "no such file"],
  [["state", "bench", "--callers", "0"], "from 1 to"],
  [["state", "migrate"], "There is no database to migrate"],
  [["state", "migrate", "--database-url", "https://abc.supabase.co"], "A Data API cannot migrate"],
  [["state", "migrate", "--database-url", "mysql://x"], "--database-url must be a postgres:// URL"],
  [["state", "migrate", "--database-url", "postgres://x/y", "--dump-sql", "z"], "cannot be used"],
])("%j is wrong usage, and the answer says why", async (args, says) => {
  const { code, stdout, stderr } = await run(args, { cwd: folder });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(says);
});

test.each([
  [["state", "get"], "missing required argument 'id'"],
  [["state", "gett", "a"], "unknown command 'gett'"],
  [["state", "get", "a", "--version", "zero"], "whole number"],
])("for programs %j is told as JSON", async (args, says) => {
  const { code, stdout, stderr } = await run([...args, "--json"]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(JSON.parse(stderr)).toEqual({
    code: "UsageError",
    message: expect.stringContaining(says),
    next: "see --help",
  });
});

test("standard input that is not JSON is refused before anything is sent", async () => {
  const args = ["state", "set", "a", "--type", "note", "--data", "-", ...nowhere];
  const { code, stderr } = await run(args, { input: "{" });
  expect(code).toBe(2);
  expect(stderr).toContain("standard input: the text is not valid JSON");
});

test("every fault of a configuration is told at once", async () => {
  const args = ["state", "--listen", "somewhere", "--log-level", "loud"];
  const { code, stdout, stderr } = await run(args, { cwd: folder });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("2 faults");
  expect(stderr).toContain("--listen: listen must be");
  expect(stderr).toContain("--log-level: log.level must be");
});

test("--print-config shows where each setting comes from, and no secret", async () => {
  const file = join(folder, "config.yaml");
  await writeFile(file, "supabase:\n  main: postgres://me:hunter2@db.example/app\n");
  const args = ["state", "--config", file, "--write-batch-limit", "7", "--print-config"];
  const { code, stdout } = await run(args, { env: { AGENT_RUNTIME_LOG_LEVEL: "warn" } });
  expect(code).toBe(0);
  expect(stdout).not.toContain("hunter2");
  expect(stdout).toMatch(/^write\.batchLimit: 7 +# flag --write-batch-limit$/m);
  expect(stdout).toMatch(/^log\.level: "warn" +# env AGENT_RUNTIME_LOG_LEVEL$/m);
  expect(stdout).toMatch(/^supabase\.main: .*\*\*\*.* +# file .*config\.yaml:2$/m);

  const json = JSON.parse((await run([...args, "--json"])).stdout) as { key: string }[];
  expect(json).toContainEqual({
    key: "write.batchLimit",
    value: 7,
    source: "flag",
    origin: "--write-batch-limit",
  });
});

test("the variables of the client are no fault of the service's configuration", async () => {
  const env = { AGENT_RUNTIME_URL: "http://127.0.0.1:1", AGENT_RUNTIME_TOKEN: "x" };
  expect(await run(["state", "--print-config"], { cwd: folder, env })).toMatchObject({ code: 0 });
});

test.each([["get", "a"], ["watch"]])(
  "without a service, %s says how to start one",
  async (...args) => {
    const { code, stdout, stderr } = await run(["state", ...args, ...nowhere]);
    expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
    expect(stderr).toMatch(/\nnext: start a service \(agent_runtime state\), or .*--url URL\n$/);
  },
);

test("a port that nothing can be asked on is named, and no write is in doubt", async () => {
  const set = ["state", "set", "a", "--merge", "{}", "--url", "http://127.0.0.1:1"];
  const { code, stderr } = await run(set);
  expect(code).toBe(5);
  expect(stderr).toMatch(/\(bad port\).*\nnext: start a service/);
});

test("with --json, an error is one JSON document", async () => {
  const { code, stderr } = await run(["state", "list", "--json", ...nowhere]);
  expect(code).toBe(5);
  expect(JSON.parse(stderr)).toMatchObject({ code: "UNAVAILABLE", next: expect.any(String) });
});

test("a file without a recorded run is refused with what it may be", async () => {
  await writeFile(join(folder, "odd.json"), '{"a": 1}');
  const args = ["state", "replay", "odd.json", ...nowhere];
  const { code, stderr } = await run(args, { cwd: folder });
  expect(code).toBe(1);
  expect(stderr).toMatch(/no recorded run[^]*next: give a file of tau-bench/);
});

test("a file that only looks like gzip, or is no text, is refused", async () => {
  await writeFile(join(folder, "broken.gz"), Buffer.from([0x1f, 0x8b, 1, 2, 3]));
  await writeFile(join(folder, "latin1.json"), Buffer.from([0x22, 0xe9, 0x22]));
  for (const [file, says] of [
    ["broken.gz", "could not be unpacked"],
    ["latin1.json", "is not UTF-8"],
  ] as const) {
    const { code, stderr } = await run(["state", "replay", file, ...nowhere], { cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toContain(says);
  }
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
