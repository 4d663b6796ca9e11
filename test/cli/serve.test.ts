import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import { runProgram as runBuilt, startProgram, startService } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import { until } from "../support/until.ts";
import { FakeTerminal } from "./fake-terminal.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "art-serve-"));
  // Embedded servers that run as another user have to get through.
  await chmod(folder, 0o755);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

type Parts = Readonly<Record<string, { readonly health: string } | undefined>>;

const ALL = ["--roles", "main,readonly,rollback"];

async function untilAllWell(url: string): Promise<void> {
  const healths = async (): Promise<unknown> => {
    const info = (await (await fetch(`${url}/v1/info`)).json()) as { parts: Parts };
    return ["main", "readonly", "rollback"].map((name) => info.parts[name]?.health);
  };
  await expect.poll(healths, { timeout: 60_000 }).toEqual(["ok", "ok", "ok"]);
}

/** What was logged that somebody should look at; that the machine is too busy to answer in time is none of it. */
function warnings({ stderr }: Child): string[] {
  return stderr
    .split("\n")
    .filter((line) => line !== "" && !/"level":"(debug|info)"/.test(line))
    .filter((line) => !line.includes("The probe took longer than"));
}

test("it says its address on one line, answers there, and stops at SIGTERM without a loss", async () => {
  const { child, url } = await startService(ALL, { cwd: folder });
  await untilAllWell(url);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const body = JSON.stringify({ type: "note", data: { kept: true } });
  const headers = { "content-type": "application/json" };
  await fetch(`${url}/v1/states/a`, { method: "PUT", headers, body });
  expect(await child.kill("SIGTERM")).toEqual({ code: 0, signal: null });
  expect(child.stdout).toMatch(
    /^agent_runtime state is ready at http:\/\/127\.0\.0\.1:\d+ \(PostgreSQL 18\.\d+, embedded in \.agent_runtime: main, readonly, rollback\)\n$/,
  );

  const again = await startService(ALL, { cwd: folder });
  const state = (await (await fetch(`${again.url}/v1/states/a`)).json()) as { data: unknown };
  expect(state.data).toEqual({ kept: true });
  await untilAllWell(again.url);
  expect(await again.child.kill("SIGINT")).toEqual({ code: 0, signal: null });
  // A start is no trouble, the first one neither: what comes up beside main has the time that it needs.
  expect([warnings(child), warnings(again.child)]).toEqual([[], []]);
}, 120_000);

test("a signal during the start stops it as well", async () => {
  const args = ["state", "--listen", "127.0.0.1:0", "--data-dir", join(folder, "early")];
  const child = await startProgram(args);
  await child.says(/making the database/, { on: "stderr" });
  expect(await child.kill("SIGTERM")).toEqual({ code: 0, signal: null });
});

test("a second signal ends it at once", async () => {
  const args = ["state", "--listen", "127.0.0.1:0", "--data-dir", join(folder, "twice")];
  const child = await startProgram(args);
  await child.says(/making the database/, { on: "stderr" });
  process.kill(child.pid, "SIGINT");
  expect(await child.kill("SIGTERM")).toEqual({ code: 1, signal: null });
  expect(child.stdout).toBe("");
});

test("an address that somebody else has is a clear sentence", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const args = ["state", "--listen", `127.0.0.1:${port}`, "--log-level", "silent"];
  const { code, stdout, stderr } = await runBuilt([...args, "--data-dir", join(folder, "port")]);
  await new Promise((resolve) => server.close(resolve));
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(new RegExp(`^agent_runtime: cannot listen on 127.0.0.1:${port}.*\n$`));
});

test("a data directory that cannot be used is a clear sentence", async () => {
  const file = join(folder, "file");
  await writeFile(file, "not a folder");
  const args = ["state", "--listen", "127.0.0.1:0", "--data-dir", file, "--log-level", "silent"];
  const { code, stdout, stderr } = await runBuilt(args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(file);
  expect(stderr).not.toMatch(/\n +at /);
  expect(await readFile(file, "utf8")).toBe("not a folder");
});

test("at its first start on a terminal it says what to try", async () => {
  const dataDir = join(folder, "first");
  const serve = async (): Promise<string> => {
    const terminal = new FakeTerminal({ columns: 80, cwd: folder });
    const args = ["--listen", "127.0.0.1:0", "--data-dir", dataDir, "--log-level", "silent"];
    const running = runProgram(["state", ...args], terminal);
    await until(() => terminal.stdout.text.includes("ready"));
    terminal.interrupt();
    expect(await running).toBe(0);
    return terminal.stderr.text;
  };
  const first = await serve();
  expect(first).toMatch(/agent_runtime state watch --url http/);
  expect(first).toMatch(/state replay --url http\S+ \S+swe-agent-marshmallow-1867\.traj\.json/);
  expect(await serve()).toBe("");
});
