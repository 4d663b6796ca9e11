import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { StateManager } from "../../src/index.ts";

async function newDataDir(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "art-open-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, "data");
}

test("opens on a PostgreSQL of its own, and finds everything again", async () => {
  const dataDir = await newDataDir();
  const first = await StateManager.open({ dataDir, roles: ["main"] });
  const { version } = await first.updateState("trip", "task", { goal: "fly" });
  expect(version).toBe(1n);
  await first.close();
  await first.close();
  await expect(first.updateState("trip", "task", {})).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: false },
  });

  const second = await StateManager.open({ dataDir, roles: ["main"] });
  onTestFinished(() => second.close());
  expect(await second.getState("trip")).toMatchObject({ version: 1n, data: { goal: "fly" } });
});

test("a second one in the same data directory is refused and told who holds it", async () => {
  const dataDir = await newDataDir();
  const first = await StateManager.open({ dataDir, roles: ["main"] });
  onTestFinished(() => first.close());
  await expect(StateManager.open({ dataDir, roles: ["main"] })).rejects.toMatchObject({
    code: "DATA_DIRECTORY",
  });
});

test("an unknown setting is refused by its name", async () => {
  const settings = { dataDirectory: "x" } as never;
  await expect(StateManager.open(settings)).rejects.toMatchObject({
    code: "INVALID_CONFIG",
    facts: { field: "dataDirectory" },
  });
});

test.each([
  ["a URL as an object", { supabase: { main: new URL("postgres://db.example/app") } }],
  ["a section that is a URL", { supabase: new URL("postgres://db.example/app") }],
  ["text", "postgres://db.example/app"],
  ["a list", []],
  ["null", null],
])("%s is refused, not taken for no setting", async (_what, settings) => {
  const opening = StateManager.open(settings as never);
  await expect(opening).rejects.toMatchObject({
    name: "AgentRuntimeError",
    code: "INVALID_CONFIG",
  });
});

test("a closed one answers nothing, not even from memory", async () => {
  const manager = await StateManager.open({ dataDir: await newDataDir(), roles: ["main"] });
  await manager.updateState("trip", "task", {});
  await manager.getState("trip");
  await manager.close();
  await expect(manager.getState("trip")).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("the service's own login may call functions and touch no table", async () => {
  const dataDir = await newDataDir();
  const manager = await StateManager.open({ dataDir, roles: ["main"] });
  onTestFinished(() => manager.close());
  const { Client } = await import("pg").then((module) => module.default);
  const client = new Client({
    host: path.join(dataDir, "run"),
    port: 5432,
    user: "agent_runtime",
    database: "postgres",
  });
  await client.connect();
  onTestFinished(() => client.end());
  await expect(client.query("select * from agent_state.states")).rejects.toMatchObject({
    code: "42501",
  });
  const { rows } = await client.query('select agent_state_api.get(\'{"id": "none"}\') as state');
  expect(rows).toEqual([{ state: null }]);
});
