import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { migrate } from "../../src/supabase/migrate.ts";
import { openRollbackStore } from "../../src/supabase/rollback/rollback-store.ts";
import { missingPostgres, PrivatePostgres } from "../fault/private-postgres.ts";
import { startPrivateTrio } from "../fault/private-trio.ts";
import type { PrivateTrio } from "../fault/private-trio.ts";
import { requireHere, testHomes } from "../support/homes.ts";
import { connectionTo, openBench } from "../support/manager.ts";
import { diagnose } from "./doctor.ts";
import type { Diagnosis } from "./doctor.ts";

const missing = missingPostgres();

describe("at three databases", () => {
  if (missing !== undefined) {
    requireHere(missing);
    return;
  }
  let trio: PrivateTrio;
  let env: Readonly<Record<string, string>>;

  beforeAll(async () => {
    trio = await startPrivateTrio();
    await migrate(connectionTo(trio.main.url));
    await migrate(connectionTo(trio.rollback.url), "rollback");
    await trio.main.sql("create role serving login in role agent_state_operator");
    await trio.rollback.sql("create role serving login in role agent_state_rollback");
    const url = (server: PrivatePostgres): string => server.url.replace("postgres@", "serving@");
    env = {
      SUPABASE_MAIN_URL: url(trio.main),
      SUPABASE_READONLY_URL: url(trio.readonly),
      SUPABASE_ROLLBACK_URL: url(trio.rollback),
    };
    const follower = openRollbackStore({ ...connectionTo(trio.rollback.url) });
    await follower.takeLease("a service", 3_600_000);
    await follower.close();
  });
  afterAll(() => trio.close());

  /** Breaks something, lets the doctor look, mends it; what it found. */
  async function broken(
    server: PrivatePostgres,
    statements: { readonly harm: string; readonly mend: string },
  ): Promise<Diagnosis> {
    await server.sql(statements.harm);
    onTestFinished(async () => void (await server.sql(statements.mend)));
    return await diagnose(env);
  }

  test("where all is well it finds nothing, and says what it looked at", async () => {
    const { code, findings, verdicts } = await diagnose(env);
    expect([...findings]).toEqual([]);
    expect(code).toBe(0);
    const looked = verdicts.map(({ part, check }) => `${part}, ${check}`);
    expect(looked).toEqual(
      expect.arrayContaining([
        "main, grants",
        "main, pooler and LISTEN",
        "readonly, replica follows",
        "rollback, cluster",
        "rollback, copies of main",
      ]),
    );
  });

  test("a right that was taken away is named", async () => {
    const roles = "agent_state_writer, agent_state_operator";
    const { code, findings } = await broken(trio.main, {
      harm: `do $$ begin execute format('revoke execute on function %s from ${roles}', (select oid::regprocedure from pg_proc where proname = 'commit_batch')); end $$`,
      mend: `do $$ begin execute format('grant execute on function %s to ${roles}', (select oid::regprocedure from pg_proc where proname = 'commit_batch')); end $$`,
    });
    expect(code).toBe(1);
    expect([...findings.keys()]).toEqual(["main, grants"]);
    expect(findings.get("main, grants")).toMatchObject({
      level: "fault",
      found: "serving may not call commit_batch",
      remedy: expect.stringContaining("grant agent_state_reader"),
    });
  });

  test("a schema of a newer program is named, on main and on its replica", async () => {
    const { code, findings } = await broken(trio.main, {
      harm: "insert into agent_state.migrations (number, name, checksum, program) values (99, '0099_later.sql', 'x', '9.0.0')",
      mend: "delete from agent_state.migrations where number = 99",
    });
    expect(code).toBe(1);
    expect(findings.get("main, schema")?.found).toContain("0099_later.sql");
  });

  test("a database without a schema is told how to get one", async () => {
    await trio.main.sql("create database bare");
    const url = env["SUPABASE_MAIN_URL"]!.replace("/postgres?", "/bare?");
    const { code, findings } = await diagnose({ SUPABASE_MAIN_URL: url });
    expect(code).toBe(1);
    expect(findings.get("main, schema")).toMatchObject({
      found: "it has no schema of this program",
      remedy: expect.stringContaining("agent_runtime state migrate --role main"),
    });
  });

  test("a login that may do too much is advised against, and no fault", async () => {
    const { code, findings } = await diagnose({ ...env, SUPABASE_MAIN_URL: trio.main.url });
    expect(code).toBe(0);
    expect([...findings.keys()]).toEqual(["main, least privilege"]);
    expect(findings.get("main, least privilege")?.found).toContain("postgres is a superuser");
    const mild = await broken(trio.main, {
      harm: "grant insert, update on agent_state.states to serving",
      mend: "revoke insert, update on agent_state.states from serving",
    });
    expect(mild.findings.get("main, least privilege")?.found).toMatch(/write to 1 table/);
  });

  test("what keeps acknowledged writes from the disk is named", async () => {
    const { code, findings } = await broken(trio.main, {
      harm: "alter role serving set synchronous_commit = off",
      mend: "alter role serving reset synchronous_commit",
    });
    expect(code).toBe(1);
    expect(findings.get("main, durability")?.found).toMatch(/^synchronous_commit is off/);
    const careless = await PrivatePostgres.open({ fsync: "off", full_page_writes: "off" });
    onTestFinished(() => careless.close());
    const told = await diagnose({ SUPABASE_MAIN_URL: careless.url });
    expect(told.findings.get("main, durability")).toMatchObject({
      level: "fault",
      found: expect.stringMatching(/^fsync and full_page_writes are off/),
      remedy: expect.stringContaining("fsync = on, full_page_writes = on"),
    });
  });

  test("a replica whose replay is paused is behind; one that does not run is not reachable", async () => {
    await trio.readonly.sql("select pg_wal_replay_pause()");
    await expect
      .poll(
        async () => (await trio.readonly.sql("select pg_get_wal_replay_pause_state() as is"))[0],
      )
      .toEqual({ is: "paused" });
    await trio.main.sql("create table something (a integer); drop table something");
    const paused = await diagnose(env);
    expect(paused.code).toBe(1);
    expect(paused.findings.get("readonly, replica follows")).toMatchObject({
      found: "its replay is paused",
      remedy: expect.stringContaining("pg_wal_replay_resume"),
    });
    await trio.readonly.sql("select pg_wal_replay_resume()");
    await trio.readonly.end("SIGKILL");
    const gone = await diagnose(env);
    expect(gone.code).toBe(1);
    expect([...gone.findings.keys()]).toEqual(["readonly, reachable"]);
    await trio.readonly.start();
  });

  test("a database in the wrong place is named", async () => {
    const main = env["SUPABASE_MAIN_URL"]!;
    const swapped = await diagnose({ SUPABASE_MAIN_URL: env["SUPABASE_READONLY_URL"]! });
    expect(swapped.findings.get("main, kind of server")?.found).toContain("it is a replica");
    const noReplica = await diagnose({ ...env, SUPABASE_READONLY_URL: main });
    expect(noReplica.findings.get("readonly, kind of server")?.found).toContain("it takes writes");
    await trio.main.sql("create database beside");
    const url = trio.main.url.replace("/postgres?", "/beside?");
    await migrate(connectionTo(url), "rollback");
    const together = await diagnose({ ...env, SUPABASE_ROLLBACK_URL: url });
    expect(together.findings.get("rollback, cluster")?.found).toContain("main's own cluster");
    expect(together.findings.get("rollback, copies of main")?.found).toContain("no service keeps");
  });

  test("a rollback database that follows another main is named", async () => {
    const harm = "update agent_state.follower set lineage = 'another'";
    const mend = "update agent_state.follower set lineage = null";
    const { code, findings } = await broken(trio.rollback, { harm, mend });
    expect(code).toBe(1);
    expect(findings.get("rollback, copies of main")?.found).toBe(
      "it has the copies of another main",
    );
  });
});

const pooled = testHomes().find(({ name }) => name === "pgbouncer")!;

test("a pooler in transaction mode is named, and no fault", async (context) => {
  if (pooled.available !== true) context.skip(`not here: ${pooled.available}`);
  const bench = await openBench(pooled);
  onTestFinished(() => bench.close());
  const { code, findings } = await diagnose({ SUPABASE_MAIN_URL: bench.database.url });
  expect(code).toBe(0);
  expect(findings.get("main, pooler and LISTEN")).toMatchObject({
    level: "advice",
    found: expect.stringContaining("a pooler in transaction mode"),
  });
});

test("nobody at the address is a fault, with where to look", async () => {
  const { code, findings } = await diagnose({ SUPABASE_MAIN_URL: "postgres://a@127.0.0.1:1/b" });
  expect(code).toBe(1);
  expect(findings.get("main, reachable")?.remedy).toContain("supabase.main has its address");
});
