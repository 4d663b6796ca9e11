import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startService } from "../support/child.ts";
import { until } from "../support/until.ts";
import { FakeTerminal, run } from "./fake-terminal.ts";
import type { Ended } from "./fake-terminal.ts";
import { runProgram } from "../../src/cli/program.ts";

interface Info {
  readonly parts: { readonly rollback: { readonly health: string } };
}

let cwd: string;
let url: string;
let stop: () => Promise<unknown>;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "art-backup-"));
  const args = ["--data-dir", join(cwd, "home"), "--roles", "main,rollback"];
  const { child, ...service } = await startService(args);
  url = service.url;
  stop = () => child.kill("SIGTERM");
  const set = ["set", "kept", "--type", "note", "--data", '{"n": 42}', "--url", url];
  expect(await state(...set)).toMatchObject({ code: 0 });
  const isUp = async (): Promise<boolean> => {
    const { parts } = (await (await fetch(`${url}/v1/info`)).json()) as Info;
    return parts.rollback.health === "ok";
  };
  await until(isUp, { what: "the rollback server", timeoutMs: 30_000 });
}, 120_000);

afterAll(async () => {
  await stop();
  await rm(cwd, { recursive: true, force: true });
});

function state(...args: readonly string[]): Promise<Ended> {
  return run(["state", ...args], { cwd });
}

test("a running service is backed up, the backup read through, and restored into another home", async () => {
  expect(await state("backup", "first", "--data-dir", "home")).toEqual({
    code: 0,
    stdout: expect.stringMatching(
      /^backed up to \S+\/first: rollback and main, [\d,]+ files, \d+ MiB, of 20\S+Z\n$/,
    ) as string,
    stderr: "",
  });
  const verified = await state("backup", "--verify", "first");
  expect(verified.stdout).toMatch(/first is complete and undamaged: rollback and main/);
  const restored = await state("restore", "--from-backup", "first", "--data-dir", "again");
  expect(restored).toMatchObject({ code: 0, stderr: "" });
  expect(restored.stdout).toMatch(
    /^restored rollback and main \(\d+ MiB\) as of 20\S+Z into .*again\n$/,
  );

  const { child, url: elsewhere } = await startService(["--data-dir", join(cwd, "again")]);
  expect((await state("get", "kept", "--url", elsewhere)).stdout).toContain('"n": 42');
  await child.kill("SIGTERM");
});

test("for programs there is one JSON document, also of what went wrong", async () => {
  const { stdout } = await state("backup", "second", "--data-dir", "home", "--json");
  const report = JSON.parse(stdout) as Record<string, unknown>;
  expect(report).toMatchObject({
    folder: join(cwd, "second"),
    leftOut: [],
    postgres: expect.stringMatching(/^18/) as string,
  });
  expect(report["servers"]).toEqual(
    ["rollback", "main"].map((name) => expect.objectContaining({ name, timeline: 1 }) as unknown),
  );
  const again = await state("backup", "second", "--data-dir", "home", "--json");
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(again.stderr)).toMatchObject({ code: "DATA_DIRECTORY" });
  await rm(join(cwd, "second", "main", "PG_VERSION"));
  const damaged = await state("restore", "--from-backup", "second", "--data-dir", "new", "--json");
  expect(damaged).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(damaged.stderr)).toMatchObject({ code: "BACKUP_DAMAGED" });
  expect(await readdir(cwd)).not.toContain("new");
});

test("wrong usage is told, with what to do", async () => {
  expect(await state("restore", "--data-dir", "new")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--from-backup") as string,
  });
  const env = { SUPABASE_DB_URL: "postgres://somewhere/db" };
  expect(await run(["state", "backup", "third"], { cwd, env })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--data-dir") as string,
  });
  const missing = await state("backup", "third", "--data-dir", "none");
  expect(missing).toMatchObject({ code: 1 });
  expect(missing.stderr).toContain("there is no home in");
});

test("a terminal has a bar, and ctrl-C leaves nothing behind", async () => {
  const terminal = new FakeTerminal({ cwd, columns: 80 });
  const running = runProgram(["state", "backup", "canceled", "--data-dir", "home"], terminal);
  await until(() => /(main|rollback): \S+ \S+ of \S+ MiB/.test(terminal.stderr.text));
  terminal.interrupt();
  expect(await running).toBe(1);
  expect(terminal.stderr.text).toContain("interrupted");
  const names = await readdir(cwd);
  expect(names.filter((name) => name.startsWith("canceled"))).toEqual([]);
});
