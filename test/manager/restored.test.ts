import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { backupHome } from "../../src/embedded/backup.ts";
import { restoreHome } from "../../src/embedded/restore.ts";
import { StateManager } from "../../src/index.ts";
import { silentLog } from "../../src/service/log.ts";

/** The first change that a watcher with this cursor is given. */
async function firstAfter(manager: StateManager, after: string): Promise<string> {
  for await (const { id } of manager.watch({ after })) return id;
  throw new Error("the watch ended");
}

test("a restored home has the states of its backup, and a cursor from after it is a GAP", async () => {
  const folder = await mkdtemp(join(tmpdir(), "art-restored-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const [dataDir, backup, restored] = ["home", "backup", "new"].map((name) => join(folder, name));
  const open = async (where: string): Promise<StateManager> => {
    const manager = await StateManager.open({ dataDir: where, roles: ["main"] });
    onTestFinished(() => manager.close());
    return manager;
  };
  const common = { binaries: "npm", signal: new AbortController().signal, log: silentLog };

  const former = await open(dataDir!);
  await former.updateState("a", "note", { from: "before" });
  await backupHome({ ...common, dataDir: dataDir!, target: backup! });
  await former.updateState("a", "note", { from: "the lost future" });
  const cursor = await former.feedHead();
  await former.close();

  await restoreHome({ ...common, backup: backup!, dataDir: restored! });
  const manager = await open(restored!);
  expect(await manager.getState("a")).toMatchObject({ version: 1n, data: { from: "before" } });
  await manager.updateState("b", "note", { from: "another future" });
  const gap = await firstAfter(manager, cursor).catch((error: unknown) => error);
  expect(gap).toMatchObject({ code: "GAP" });
  const { resumeFrom } = (gap as { facts: { resumeFrom: string } }).facts;
  expect(await firstAfter(manager, resumeFrom)).toBe("a");
  await manager.close();
});
