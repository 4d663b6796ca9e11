import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { StateManager } from "../../src/index.ts";
import { run } from "../cli/fake-terminal.ts";
import { startProgram } from "../support/child.ts";
import { until } from "../support/until.ts";
import { scratchFolder } from "./support.ts";

const timeout = 300_000;
const ROLES = ["main", "rollback"] as const;

async function open(dataDir: string, roles: readonly ("main" | "rollback")[] = ROLES) {
  const manager = await StateManager.open({ dataDir, roles: [...roles] });
  onTestFinished(() => manager.close());
  return manager;
}

/** A home with two agents that the rollback server has followed. */
async function livedIn(): Promise<string> {
  const dataDir = path.join(scratchFolder(), "home");
  const manager = await open(dataDir);
  for (let n = 1; n <= 3; n++) {
    await manager.updateState("ann", "note", { n });
    await manager.updateState("bob", "note", { n });
  }
  for (const scope of ["ann", "bob"]) {
    await until(async () => (await manager.scope(scope)).rollbackStep === 2n, {
      what: `the copy of ${scope}`,
    });
  }
  await manager.close();
  return dataDir;
}

/** The command on a home. */
function restore(dataDir: string, args: readonly string[] = []): ReturnType<typeof run> {
  const command = ["state", "restore", "--from", "rollback", "--data-dir", dataDir, ...args];
  return run(command, { cwd: path.dirname(dataDir), env: {} });
}

async function expectWhole(dataDir: string): Promise<void> {
  const manager = await open(dataDir);
  for (const id of ["ann", "bob"]) {
    expect(await manager.getState(id)).toMatchObject({ version: 3n, data: { n: 3 } });
  }
  // The same rollback server goes on.
  const { step } = await manager.updateState("ann", "note", { n: 4 });
  await until(async () => (await manager.scope("ann")).rollbackStep === step - 1n);
  expect(await manager.rollback("ann")).toMatchObject({ source: "rollback", step: 5n });
  expect(await manager.getState("ann")).toMatchObject({ version: 5n, data: { n: 3 } });
  await manager.close();
}

test(
  "a main whose directory is gone is rebuilt, also when that was killed half-way",
  { timeout },
  async () => {
    const dataDir = await livedIn();
    rmSync(path.join(dataDir, "main"), { recursive: true });
    await expect(open(dataDir)).rejects.toMatchObject({
      code: "DATA_DIRECTORY",
      message: expect.stringContaining("restore --from rollback"),
    });
    renameSync(path.join(dataDir, "rollback"), path.join(dataDir, "elsewhere"));
    const nothing = await restore(dataDir);
    expect(nothing.code).toBe(3);
    expect(nothing.stderr).toContain("to restore from");
    renameSync(path.join(dataDir, "elsewhere"), path.join(dataDir, "rollback"));

    const args = ["restore", "--from", "rollback", "--data-dir", dataDir];
    const child = await startProgram(["state", ...args], { cwd: path.dirname(dataDir) });
    const isMarked = (): boolean => existsSync(path.join(dataDir, "main.renewing"));
    await until(isMarked, { what: "the begin of the restore", timeoutMs: 60_000 });
    await child.kill("SIGKILL");
    await expect(open(dataDir)).rejects.toMatchObject({ code: "RESTORE_UNFINISHED" });
    const { code, stdout, stderr } = await restore(dataDir, ["--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ scopes: 2, states: 2, losses: [], movedTo: null });
    expect(isMarked()).toBe(false);
    await expectWhole(dataDir);
  },
);

test(
  "one that is damaged is put aside when that is said, and never deleted",
  { timeout },
  async () => {
    const dataDir = await livedIn();
    writeFileSync(path.join(dataDir, "main", "global", "pg_control"), "no control file");
    const refused = await restore(dataDir);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain("pass --move-main");
    const { code, stdout } = await restore(dataDir, ["--move-main"]);
    expect(code).toBe(0);
    const aside = readdirSync(dataDir).filter((name) => name.startsWith("main.damaged-"));
    expect(aside).toHaveLength(1);
    expect(stdout).toContain(`the old main was moved to ${path.join(dataDir, aside[0]!)}\n`);
    expect(existsSync(path.join(dataDir, aside[0]!, "PG_VERSION"))).toBe(true);
    await expectWhole(dataDir);
  },
);
