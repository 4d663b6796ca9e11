import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { urlOf } from "../../dev/services/address.ts";
import { startServices } from "../../dev/services/services.ts";
import type {
  RunningServices,
  ServerName,
  Services,
  ServicesOptions,
} from "../../dev/services/services.ts";
import { findParts } from "../../dev/services/tools.ts";
import type { Parts } from "../../scripts/parts.d.mts";
import { waitForReplay } from "../support/replica.ts";
import { openSql } from "../support/sql.ts";
import type { SqlPool } from "../support/sql.ts";
import { pidsIn, scratchFolder } from "./scratch.ts";

/** As on a machine without Debian's packages. */
const NO_PARTS: Parts = {
  postgres: { missing: "PostgreSQL of the system" },
  pgbouncer: { missing: "PgBouncer of the system" },
  rocketmq: { missing: "RocketMQ of the system" },
  browser: { missing: "a browser of the system" },
  redis: { missing: "Redis of the system" },
  valkey: { missing: "Valkey of the system" },
  lua: { missing: "Lua of the system" },
  containerd: { missing: "containerd of the system" },
};

let temporary: string;
beforeEach(() => {
  temporary = scratchFolder();
  vi.stubEnv("TMPDIR", temporary);
  onTestFinished(() => void vi.unstubAllEnvs());
});

async function start(options: ServicesOptions = {}): Promise<RunningServices> {
  const running = await startServices(options);
  onTestFinished(() => running.stop());
  return running;
}

function sqlOn(services: Services, name: ServerName): SqlPool {
  const server = services[name];
  if ("missing" in server) throw new Error(server.missing);
  const pool = openSql(urlOf(server, "postgres"));
  onTestFinished(() => pool.close());
  return pool;
}

describe.each([
  ["what this machine has", findParts()],
  ["npm's binaries alone", NO_PARTS],
])("from %s", (_name, parts) => {
  test("main, a replica that follows it and an independent rollback start, and end without a trace", async () => {
    const running = await start({ parts });
    const [main, readonly, rollback] = (["postgres", "replica", "rollback"] as const).map((name) =>
      sqlOn(running.services, name),
    ) as [SqlPool, SqlPool, SqlPool];
    await main.sql("create table written as select 7 as seven");
    await waitForReplay({ main, readonly });
    expect(await readonly.sql("select seven from written")).toEqual([{ seven: 7 }]);
    await expect(readonly.sql("create table never ()")).rejects.toThrow("read-only transaction");
    await expect(rollback.sql("select from written")).rejects.toThrow("does not exist");

    const facts = `select pg_is_in_recovery() as follows, current_setting('data_checksums') as checksums,
      current_setting('fsync') as fsync, current_setting('wal_level') as wal,
      (select system_identifier from pg_control_system()) as cluster`;
    const [onMain, onReplica, onRollback] = await Promise.all(
      [main, readonly, rollback].map(async (server) => (await server.sql(facts))[0]),
    );
    const durable = { checksums: "on", fsync: "on", wal: "replica" };
    expect(onMain).toMatchObject({ ...durable, follows: false });
    expect(onReplica).toEqual({ ...onMain, follows: true });
    expect(onRollback).toMatchObject({ ...durable, follows: false });
    expect(onRollback?.["cluster"]).not.toBe(onMain?.["cluster"]);

    await running.stop();
    expect([readdirSync(temporary), pidsIn(temporary)]).toEqual([[], []]);
  });
});

test("PgBouncer stands before main, or is missing with its reason", async () => {
  const { services } = await start({ only: ["pgbouncer"] });
  const { pgbouncer } = findParts();
  if (pgbouncer.missing !== undefined) expect(services.pgbouncer).toEqual(pgbouncer);
  else {
    const [main, pooled] = [sqlOn(services, "postgres"), sqlOn(services, "pgbouncer")];
    await main.sql("create table written as select 7 as seven");
    expect(await pooled.sql("select seven from written")).toEqual([{ seven: 7 }]);
  }
  expect(services.rollback).toEqual({ missing: "not asked for" });
  const without = await start({ only: ["rollback"], parts: NO_PARTS });
  expect(without.services.pgbouncer).toEqual(NO_PARTS.pgbouncer);
});

test("a server that does not start is reported with its last words, and the others end", async () => {
  const file = join(temporary, "pooler");
  writeFileSync(file, "#!/bin/sh\necho no room for a pooler >&2\nexit 3\n", { mode: 0o755 });
  const pgbouncer = { file, version: "1.18" };
  const starting = startServices({ parts: { ...findParts(), pgbouncer } });
  await expect(starting).rejects.toThrow(/ended with code 3:\nno room for a pooler/);
  expect([readdirSync(temporary), pidsIn(temporary)]).toEqual([["pooler"], []]);
});

describe("in a folder of its own", () => {
  test("data stays, and the next replica has it too", async () => {
    const folder = join(temporary, "kept here");
    const first = await start({ folder });
    await sqlOn(first.services, "postgres").sql("create table kept as select 7 as seven");
    await first.stop();
    expect(pidsIn(temporary)).toEqual([]);

    const { services } = await start({ folder });
    const [main, readonly] = [sqlOn(services, "postgres"), sqlOn(services, "replica")];
    await waitForReplay({ main, readonly });
    expect(await readonly.sql("select seven from kept")).toEqual([{ seven: 7 }]);
    await expect(startServices({ folder })).rejects.toThrow(/process \d+ serves .*; stop it/);
    expect(await readonly.sql("select seven from kept")).toEqual([{ seven: 7 }]);
  });

  test("a server that was killed is told; after the others were, too, the data is there again", async () => {
    const folder = join(temporary, "kept");
    const ended: unknown[] = [];
    const onEnded = (name: ServerName, how: string): void => void ended.push([name, how]);
    const first = await start({ folder, onEnded });
    await sqlOn(first.services, "postgres").sql("create table kept as select 7 as seven");
    for (const name of ["postgres", "replica"]) {
      const pid = readFileSync(join(folder, name, "data", "postmaster.pid"), "utf8");
      process.kill(Number.parseInt(pid, 10), "SIGKILL");
      await expect.poll(() => ended).toContainEqual([name, "SIGKILL"]);
    }
    await first.stop();

    const { services } = await start({ folder });
    const [main, readonly] = [sqlOn(services, "postgres"), sqlOn(services, "replica")];
    await waitForReplay({ main, readonly });
    expect(await readonly.sql("select seven from kept")).toEqual([{ seven: 7 }]);
  });

  test("one that holds other things is refused and left as it is", async () => {
    writeFileSync(join(temporary, "letter.txt"), "");
    await expect(startServices({ folder: temporary })).rejects.toThrow("letter.txt");
    expect(readdirSync(temporary)).toEqual(["letter.txt"]);
  });
});
