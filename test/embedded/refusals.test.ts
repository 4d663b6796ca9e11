import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ask, openHome, scratchFolder, snapshot } from "./support.ts";

/** It is refused with a message that says so, and not a byte of the directory changes. */
async function expectRefusal(dataDir: string, ...says: readonly string[]): Promise<void> {
  const before = snapshot(dataDir);
  const refusal = await openHome(dataDir).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ name: "AgentRuntimeError", code: "DATA_DIRECTORY" });
  for (const part of says) expect((refusal as Error).message).toContain(part);
  expect(snapshot(dataDir)).toEqual(before);
}

/** What a refusal looks at, without the database behind it: no server is started to refuse. */
function madeHome(): string {
  const dataDir = path.join(scratchFolder(), "home");
  mkdirSync(path.join(dataDir, "main"), { recursive: true, mode: 0o700 });
  writeFileSync(path.join(dataDir, "agent_runtime.json"), '{"layout":1,"servers":["main"]}');
  writeFileSync(path.join(dataDir, "main/PG_VERSION"), "18\n");
  return dataDir;
}

test("a directory that holds somebody else's files is refused", async () => {
  const dataDir = scratchFolder();
  writeFileSync(path.join(dataDir, "thesis.txt"), "mine");
  await expectRefusal(dataDir, "thesis.txt", "--data-dir");
});

test("a database of another PostgreSQL version is refused, with the way to bring it over", async () => {
  const dataDir = madeHome();
  writeFileSync(path.join(dataDir, "main/PG_VERSION"), "14\n");
  await expectRefusal(dataDir, "made by PostgreSQL 14", "PostgreSQL 18", "export", "import");
});

test("a directory of a newer layout is refused", async () => {
  const dataDir = madeHome();
  writeFileSync(path.join(dataDir, "agent_runtime.json"), '{"layout":2,"servers":["main"]}');
  await expectRefusal(dataDir, "newer version", "layout 2");
});

test.each([
  ["is not JSON", "{"],
  ["is null", "null"],
  ["has no layout", "{}"],
  ["has a layout that is no number", '{"layout":"1","servers":[]}'],
  ["does not say what was in it", '{"layout":1}'],
])("a directory whose marker %s is refused as damaged", async (_fault, text) => {
  const dataDir = madeHome();
  writeFileSync(path.join(dataDir, "agent_runtime.json"), text);
  await expectRefusal(dataDir, "damaged", "backup");
});

test("a directory without its marker is refused", async () => {
  const dataDir = madeHome();
  rmSync(path.join(dataDir, "agent_runtime.json"));
  await expectRefusal(dataDir, "agent_runtime.json", "backup");
});

test("a directory whose database is gone is refused, not filled with an empty one", async () => {
  const dataDir = madeHome();
  rmSync(path.join(dataDir, "main"), { recursive: true });
  await expectRefusal(dataDir, "is gone", "backup");
});

test("a database without its version is refused", async () => {
  const dataDir = madeHome();
  writeFileSync(path.join(dataDir, "main/PG_VERSION"), ""); // As a disk may leave it that lost power.
  await expectRefusal(dataDir, "PG_VERSION", "backup");
  rmSync(path.join(dataDir, "main/PG_VERSION"));
  await expectRefusal(dataDir, "PG_VERSION", "backup");
});

test("a server that refuses to start is quoted", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  await (await openHome(dataDir)).close();
  const control = path.join(dataDir, "main/global/pg_control");
  renameSync(control, `${control}.away`);
  const refusal = openHome(dataDir);
  await expect(refusal).rejects.toMatchObject({ code: "DATA_DIRECTORY" });
  await expect(refusal).rejects.toThrow(/could not .*pg_control/);
  await expect(refusal).rejects.toThrow("restore --from rollback --move-main");

  renameSync(`${control}.away`, control);
  const home = await openHome(dataDir); // The refused start left no lock and no process behind.
  expect(await ask(home.address("main"), "select 1")).toBe(1);
});

test("a file is not a directory", async () => {
  const file = path.join(scratchFolder(), "home");
  writeFileSync(file, "");
  await expect(openHome(file)).rejects.toMatchObject({ code: "DATA_DIRECTORY" });
  await expect(openHome(path.join(file, "below"))).rejects.toThrow(
    /cannot be made \(E(EXIST|NOTDIR)\)/,
  );
});

test("binaries that are not there, or do not run, are named", async () => {
  const folder = scratchFolder();
  const dataDir = path.join(folder, "home");
  const binaries = path.join(folder, "bin");
  const refusal = { code: "INVALID_CONFIG" };
  await expect(openHome(dataDir, { binaries })).rejects.toMatchObject(refusal);
  await expect(openHome(dataDir, { binaries })).rejects.toThrow(path.join(binaries, "initdb"));

  mkdirSync(binaries);
  for (const name of ["initdb", "postgres"]) {
    writeFileSync(path.join(binaries, name), "#!/bin/sh\necho no such library >&2\nexit 127\n");
    chmodSync(path.join(binaries, name), 0o755);
  }
  await expect(openHome(dataDir, { binaries })).rejects.toMatchObject(refusal);
  await expect(openHome(dataDir, { binaries })).rejects.toThrow("no such library");
});
