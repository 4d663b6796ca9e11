import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { expect, test } from "vitest";
import { backupHome } from "../../src/embedded/backup.ts";
import type { BackupOptions } from "../../src/embedded/backup.ts";
import type { EmbeddedHome } from "../../src/embedded/home.ts";
import { restoreHome } from "../../src/embedded/restore.ts";
import type { RestoreOptions } from "../../src/embedded/restore.ts";
import { SERVER_NAMES } from "../../src/embedded/servers.ts";
import { verifyBackup } from "../../src/embedded/verify-backup.ts";
import { ask, openHome, quietLog, scratchFolder, snapshot, startUnwatched } from "./support.ts";

const { signal } = new AbortController();
const roles = ["main", "rollback"] as const;

async function openOwners(dataDir: string): Promise<EmbeddedHome> {
  const home = await openHome(dataDir, { roles });
  await home.whenReady("rollback");
  return home;
}

const backUp = (dataDir: string, target: string, options: Partial<BackupOptions> = {}) =>
  backupHome({ dataDir, target, binaries: "npm", log: quietLog, signal, ...options });

const restore = (backup: string, dataDir: string, options: Partial<RestoreOptions> = {}) =>
  restoreHome({ backup, dataDir, binaries: "npm", signal, ...options });

/** Rows with numbers from 1 up, one a commit, until it is stopped; tells how many were acknowledged. */
function writeRows(home: EmbeddedHome) {
  let acknowledged = 0;
  let going = true;
  const writing = (async () => {
    const client = new pg.Client({ ...home.address("main") });
    await client.connect();
    await client.query("create table filled (n int primary key, filler text)");
    while (going) {
      await client.query("insert into filled values ($1, repeat('x', 2000))", [acknowledged + 1]);
      acknowledged += 1;
    }
    await client.end();
  })();
  return {
    acknowledged: () => acknowledged,
    stop: async () => {
      going = false;
      await writing;
    },
  };
}

test("a backup under load becomes a home elsewhere, with every row that was acknowledged before", async () => {
  const folder = scratchFolder();
  const home = await openHome(path.join(folder, "home"), { roles: SERVER_NAMES });
  await Promise.all(SERVER_NAMES.map((name) => home.whenReady(name)));
  await ask(home.address("rollback"), "create table kept as select 42 as answer");
  const writer = writeRows(home);
  await expect.poll(writer.acknowledged).toBeGreaterThan(100);

  const before = writer.acknowledged();
  const manifest = await backUp(path.join(folder, "home"), path.join(folder, "backup"));
  const after = writer.acknowledged();
  expect(after).toBeGreaterThan(before);
  await writer.stop();
  await home.close();
  expect(manifest.servers.map(({ name }) => name)).toEqual(["rollback", "main"]);
  expect(readdirSync(folder).toSorted()).toEqual(["backup", "home"]);

  await restore(path.join(folder, "backup"), path.join(folder, "elsewhere"));
  const restored = await openHome(path.join(folder, "elsewhere"), { roles: SERVER_NAMES });
  const main = restored.address("main");
  const [first, last, count] = await Promise.all(
    ["min(n)", "max(n)", "count(*)::int"].map((what) => ask(main, `select ${what} from filled`)),
  );
  expect(first).toBe(1);
  expect(last).toBe(count);
  expect(count).toBeGreaterThanOrEqual(before);
  expect(count).toBeLessThanOrEqual(after + 1);

  // It goes on as a main of its own, with a replica of its own.
  expect(await ask(main, "select timeline_id from pg_control_checkpoint()")).toBe(2);
  await ask(main, "insert into filled values (0)");
  await restored.whenReady("rollback");
  expect(await ask(restored.address("rollback"), "select answer from kept")).toBe(42);
  await restored.whenReady("readonly");
  const replica = restored.address("readonly");
  const rows = "select count(*)::int from filled";
  await expect.poll(() => ask(replica, rows).catch(() => 0)).toBe((count as number) + 1);
  for (const name of ["main", "rollback"] as const) {
    const server = restored.address(name);
    const failures = "select sum(checksum_failures)::int from pg_stat_database";
    expect(await ask(server, failures)).toBe(0);
  }
});

test("a home without its service is backed up, also one that was left in the middle of things", async () => {
  const folder = scratchFolder();
  const dataDir = path.join(folder, "home");
  const home = await openOwners(dataDir);
  await ask(home.address("main"), "create table kept as select 42 as answer");
  await home.close();
  await backUp(dataDir, path.join(folder, "orderly"));

  const orphan = await startUnwatched(dataDir);
  await ask(home.address("main"), "update kept set answer = 43");
  process.kill(orphan, "SIGKILL");
  await backUp(dataDir, path.join(folder, "killed"));

  for (const [name, answer] of [
    ["orderly", 42],
    ["killed", 43],
  ] as const) {
    await restore(path.join(folder, name), path.join(folder, `${name}-home`));
    const again = await openOwners(path.join(folder, `${name}-home`));
    expect(await ask(again.address("main"), "select answer from kept")).toBe(answer);
    await again.close();
  }
});

function flipByte(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at]! ^= 1;
  writeFileSync(file, bytes);
}

const damages: [name: string, says: string, file: string, damage: (file: string) => void][] = [
  [
    "a byte of a table",
    "main/PG_VERSION has another content",
    "main/PG_VERSION",
    (file) => flipByte(file, 0),
  ],
  [
    "a byte of the manifest",
    "backup.json is not as it was written",
    "backup.json",
    (file) => flipByte(file, 200),
  ],
  [
    "a file that is cut",
    "pg_control has 100 bytes and had 8192",
    "main/global/pg_control",
    (file) => truncateSync(file, 100),
  ],
  ["a file that is gone", "backup_label is missing", "main/backup_label", (file) => rmSync(file)],
  ["a manifest that is gone", "cut short", "backup.json", (file) => rmSync(file)],
  [
    "a manifest of somebody else",
    "not the manifest",
    "backup.json",
    (file) => writeFileSync(file, "[]"),
  ],
];

test("whatever is wrong with a backup is found before anything is touched, also binaries of another version", async () => {
  const folder = scratchFolder();
  const home = await openHome(path.join(folder, "home"));
  const backup = path.join(folder, "backup");
  await backUp(path.join(folder, "home"), backup);
  await home.close();
  for (const [name, says, file, damage] of damages) {
    const damaged = path.join(backup, file);
    cpSync(damaged, path.join(folder, "sound"));
    await verifyBackup({ backup, signal });
    damage(damaged);
    const attempts = [
      () => verifyBackup({ backup, signal }),
      () => restore(backup, path.join(folder, "new")),
    ];
    for (const attempt of attempts) {
      const refusal = (await attempt().catch((error: unknown) => error)) as Error;
      expect([name, refusal]).toMatchObject([name, { code: "BACKUP_DAMAGED" }]);
      expect(refusal.message).toContain(says);
    }
    expect(existsSync(path.join(folder, "new"))).toBe(false);
    cpSync(path.join(folder, "sound"), damaged);
  }

  const binaries = "/usr/lib/postgresql/15/bin";
  const refusal = restore(backup, path.join(folder, "new"), { binaries });
  await expect(refusal).rejects.toThrow(/of PostgreSQL 18.*binaries are PostgreSQL 15/);
});

test("folders that a copy of the backup has lost, as they were empty, are made again", async () => {
  const folder = scratchFolder();
  await (await openHome(path.join(folder, "home"))).close();
  await backUp(path.join(folder, "home"), path.join(folder, "backup"));
  for (const entry of readdirSync(path.join(folder, "backup/main"), { withFileTypes: true })) {
    const below = path.join(folder, "backup/main", entry.name);
    if (entry.isDirectory() && readdirSync(below).length === 0) rmSync(below, { recursive: true });
  }
  await restore(path.join(folder, "backup"), path.join(folder, "new"));
  const home = await openHome(path.join(folder, "new"));
  expect(await ask(home.address("main"), "select 1")).toBe(1);
});

test("a backup that is canceled leaves nothing, and one that was killed is no backup", async () => {
  const folder = scratchFolder();
  const dataDir = path.join(folder, "home");
  const target = path.join(folder, "backup");
  const home = await openHome(dataDir);
  const stop = new AbortController();
  const onProgress = (): void => stop.abort();
  const canceled = backUp(dataDir, target, { signal: stop.signal, onProgress });
  await expect(canceled).rejects.toMatchObject({ name: "AbortError" });
  expect(readdirSync(folder)).toEqual(["home"]);
  const temporary = "select count(*)::int from pg_replication_slots";
  await expect.poll(() => ask(home.address("main"), temporary)).toBe(0);

  mkdirSync(`${target}.partial`);
  await expect(backUp(dataDir, target)).rejects.toThrow("remove that folder");
  const half = { backup: `${target}.partial`, signal };
  await expect(verifyBackup(half)).rejects.toMatchObject({ code: "BACKUP_DAMAGED" });
});

test("a page of main that is damaged on disk stops the backup", async () => {
  const folder = scratchFolder();
  const dataDir = path.join(folder, "home");
  const home = await openHome(dataDir);
  const main = home.address("main");
  await ask(main, "create table kept as select generate_series(1, 1000) as n");
  await ask(main, "checkpoint");
  const file = (await ask(main, "select pg_relation_filepath('kept')")) as string;
  flipByte(path.join(dataDir, "main", file), 5_000);
  const refusal = backUp(dataDir, path.join(folder, "backup"));
  await expect(refusal).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(refusal).rejects.toThrow("checksum");
  expect(readdirSync(folder)).toEqual(["home"]);
});

test("a rollback server that does not run is left out, and that is said", async () => {
  const folder = scratchFolder();
  const dataDir = path.join(folder, "home");
  await (await openOwners(dataDir)).close();
  truncateSync(path.join(dataDir, "rollback/global/pg_control"));
  const { servers, leftOut } = await backUp(dataDir, path.join(folder, "backup"));
  expect(servers.map(({ name }) => name)).toEqual(["main"]);
  expect(leftOut).toEqual([
    { name: "rollback", reason: expect.stringContaining("pg_control") as string },
  ]);
  expect((await verifyBackup({ backup: path.join(folder, "backup"), signal })).leftOut).toEqual(
    leftOut,
  );
});

test("a restore that was cut short is no home, and the next one makes it one", async () => {
  const folder = scratchFolder();
  const [backup, dataDir] = [path.join(folder, "backup"), path.join(folder, "new")];
  const home = await openHome(path.join(folder, "home"));
  await ask(home.address("main"), "create table kept as select 42 as answer");
  await backUp(path.join(folder, "home"), backup);
  const stop = new AbortController();
  const onProgress: RestoreOptions["onProgress"] = (what, done, total) => {
    if (what === "copy" && done > total / 2) stop.abort();
  };
  const cut = restore(backup, dataDir, { signal: stop.signal, onProgress });
  await expect(cut).rejects.toMatchObject({ name: "AbortError" });
  await expect(openHome(dataDir)).rejects.toThrow("cut short: run it again");

  await restore(backup, dataDir);
  const restored = await openHome(dataDir);
  expect(await ask(restored.address("main"), "select answer from kept")).toBe(42);
});

test("neither a backup nor a restore replaces anything", async () => {
  const folder = scratchFolder();
  const [backup, dataDir] = [path.join(folder, "backup"), path.join(folder, "home")];
  const home = await openHome(dataDir);
  await backUp(dataDir, backup);
  const before = snapshot(backup);
  for (const [target, says] of [
    [backup, "is not empty"],
    [path.join(dataDir, "backup"), "is in the data directory"],
    [path.join(backup, "backup.json"), "cannot be used"],
  ] as const) {
    await expect(backUp(dataDir, target)).rejects.toThrow(says);
  }
  expect(snapshot(backup)).toEqual(before);

  const main = home.address("main");
  await expect(restore(backup, dataDir)).rejects.toThrow("is not empty");
  expect(await ask(main, "select 1")).toBe(1);
  const other = path.join(folder, "other");
  mkdirSync(other);
  writeFileSync(path.join(other, "thesis.txt"), "mine");
  await expect(restore(backup, other)).rejects.toThrow("it holds thesis.txt");
  expect(readdirSync(other)).toEqual(["thesis.txt"]);
  await expect(backUp(other, path.join(folder, "b2"))).rejects.toMatchObject({
    code: "DATA_DIRECTORY",
  });
  await expect(backUp(path.join(folder, "none"), path.join(folder, "b2"))).rejects.toThrow(
    "there is no home",
  );
});

test("a home on PostgreSQL 15 has a replica, and is backed up and restored, as well", async () => {
  const folder = scratchFolder();
  const binaries = "/usr/lib/postgresql/15/bin";
  const dataDir = path.join(folder, "home");
  const home = await openHome(dataDir, { binaries, roles: SERVER_NAMES });
  await ask(home.address("main"), "create table kept as select 42 as answer");
  await home.whenReady("readonly");
  await home.whenReady("rollback");
  const question = "select answer from kept";
  await expect.poll(() => ask(home.address("readonly"), question).catch(() => 0)).toBe(42);
  await backUp(dataDir, path.join(folder, "backup"), { binaries });
  await restore(path.join(folder, "backup"), path.join(folder, "new"), { binaries });
  const restored = await openHome(path.join(folder, "new"), { binaries });
  expect(await ask(restored.address("main"), question)).toBe(42);
});
