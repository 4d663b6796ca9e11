import { cpSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { EmbeddedHome, EmbeddedOptions } from "../../src/embedded/home.ts";
import { serverAddress } from "../../src/embedded/servers.ts";
import { proofLength } from "../support/length.ts";
import { ask, heardLog, openHome, pidOf, restartSignal } from "./support.ts";
import { scratchFolder, startUnwatched, statusOf } from "./support.ts";

// What befalls a replica: it is always copied anew, and main serves meanwhile.

const roles = ["main", "readonly"] as const;
const newHome = (): string => path.join(scratchFolder(), "home");

async function openBoth(dataDir: string, options: Partial<EmbeddedOptions> = {}) {
  const home = await openHome(dataDir, { roles, ...options });
  await home.whenReady("readonly");
  return home;
}

/** Until the replica, which takes it again at once, has lost the race. */
const DROP_SLOT = `do $$ begin
  loop begin
    perform pg_terminate_backend(active_pid, 5000) from pg_replication_slots where active;
    perform pg_drop_replication_slot(slot_name) from pg_replication_slots;
    return;
  exception when object_in_use then null;
  end; end loop;
end $$`;

/** A row that main gets now is on the replica soon. */
async function expectFollowing(home: EmbeddedHome): Promise<void> {
  const token = Math.floor(Math.random() * 1e9);
  await ask(home.address("main"), `create table if not exists seen (token int)`);
  await ask(home.address("main"), `insert into seen values (${token})`);
  const question = `select count(*)::int from seen where token = ${token}`;
  await expect.poll(() => ask(home.address("readonly"), question).catch(() => 0)).toBe(1);
}

const damages: [name: string, why: string, damage: (folder: string) => void][] = [
  ["is gone", "none yet", (folder) => rmSync(folder, { recursive: true })],
  ["has lost its version", "damaged", (folder) => rmSync(path.join(folder, "PG_VERSION"))],
  [
    "was made a server of its own",
    "no replica",
    (folder) => rmSync(path.join(folder, "standby.signal")),
  ],
  [
    "has an empty control file",
    "another main",
    (folder) => truncateSync(path.join(folder, "global/pg_control")),
  ],
  [
    "has lost its settings",
    "did not start",
    (folder) => rmSync(path.join(folder, "postgresql.conf")),
  ],
  [
    "is half a copy",
    "damaged",
    (folder) => {
      rmSync(folder, { recursive: true });
      mkdirSync(path.join(folder, "base"), { recursive: true });
      mkdirSync(`${folder}.new`);
      writeFileSync(path.join(`${folder}.new`, "PG_VERSION"), "18\n");
      mkdirSync(`${folder}.old`);
    },
  ],
];

/** All of them in the long form; the short one does every other. */
const tried = proofLength({ short: damages.filter((_, index) => index % 2 === 1), full: damages });

test.each(tried)("a replica whose folder %s is copied anew", async (_name, why, damage) => {
  const dataDir = newHome();
  const first = await openBoth(dataDir);
  await expectFollowing(first);
  await first.close();
  damage(path.join(dataDir, "readonly"));

  const heard = heardLog();
  const home = await openHome(dataDir, { roles, log: heard.log });
  expect(await ask(home.address("main"), "select 1")).toBe(1);
  expect(await heard.until("copying main into a new replica")).toMatchObject({
    reason: expect.stringContaining(why) as string,
  });
  await home.whenReady("readonly");
  await expectFollowing(home);
  expect(readdirSync(dataDir).filter((name) => name.startsWith("readonly"))).toEqual(["readonly"]);
});

test("a replica of another main is thrown away", async () => {
  const [mine, other] = [newHome(), newHome()];
  for (const dataDir of [mine, other]) await (await openBoth(dataDir)).close();
  rmSync(path.join(mine, "readonly"), { recursive: true });
  renameSync(path.join(other, "readonly"), path.join(mine, "readonly"));
  await expectFollowing(await openBoth(mine));
});

test("a replica that was away for so long that main gave up its log is copied anew", async () => {
  const dataDir = newHome();
  await (await openBoth(dataDir)).close();
  const alone = await startUnwatched(dataDir);
  const main = serverAddress(path.join(dataDir, "run"), "main");
  await ask(main, "alter system set max_slot_wal_keep_size = '1MB'");
  await ask(main, "select pg_reload_conf()");
  for (let segment = 0; segment < 3; segment += 1) {
    await ask(main, "create table if not exists filler as select 1 as n");
    await ask(main, "select pg_switch_wal() from filler");
  }
  await ask(main, "checkpoint");
  expect(await ask(main, "select wal_status from pg_replication_slots")).toBe("lost");
  await ask(main, "alter system reset max_slot_wal_keep_size");
  process.kill(alone, "SIGINT");

  const heard = heardLog();
  const home = await openBoth(dataDir, { log: heard.log });
  expect(await heard.until("copying main into a new replica")).toMatchObject({
    reason: "it was away for so long that main gave up keeping its log",
  });
  await expectFollowing(home);
});

test("a running replica whose slot is gone is copied anew, and its readers are told", async () => {
  const restarted = restartSignal();
  const home = await openBoth(newHome(), { onServerRestarted: restarted.fire });
  await expectFollowing(home);
  const back = restarted.next();
  await ask(home.address("main"), DROP_SLOT);
  expect(await back).toBe("readonly");
  expect(statusOf(home, "readonly")).toMatchObject({ state: "ready", restarts: 1 });
  await expectFollowing(home);
});

test("a replica that is damaged while it runs, and dies of it, is copied anew", async () => {
  const dataDir = newHome();
  const restarted = restartSignal();
  const heard = heardLog();
  const home = await openBoth(dataDir, { log: heard.log, onServerRestarted: restarted.fire });
  await heard.until("copying main into a new replica"); // the first one
  await expectFollowing(home);
  const back = restarted.next();
  truncateSync(path.join(dataDir, "readonly/global/pg_control"));
  process.kill(pidOf(home, "readonly"), "SIGKILL");
  await ask(home.address("main"), "insert into seen values (0)"); // Main serves all the while.
  const { reason } = (await heard.until("copying main into a new replica")) as { reason: string };
  expect(reason).toContain("it died 5 times in a row");
  expect(await back).toBe("readonly");
  await expectFollowing(home);
});

test("main taken back to an older copy by hand: its replica does not go on from the lost future", async () => {
  const dataDir = newHome();
  const first = await openBoth(dataDir);
  await expectFollowing(first);
  await first.close();
  cpSync(path.join(dataDir, "main"), path.join(dataDir, "../older"), { recursive: true });
  const second = await openBoth(dataDir);
  await ask(second.address("main"), "create table lost as select generate_series(1, 200000) as n");
  const lost = "select count(*)::int from lost";
  await expect.poll(() => ask(second.address("readonly"), lost).catch(() => 0)).toBe(200_000);
  await second.close();
  rmSync(path.join(dataDir, "main"), { recursive: true });
  renameSync(path.join(dataDir, "../older"), path.join(dataDir, "main"));

  const home = await openBoth(dataDir);
  await expect
    .poll(() => ask(home.address("readonly"), lost).catch((error: unknown) => String(error)), {
      timeout: 25_000,
    })
    .toMatch("does not exist");
  await expectFollowing(home);
});
