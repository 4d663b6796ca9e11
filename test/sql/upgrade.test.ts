import { readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { readMigrations } from "../../src/supabase/migrations.ts";
import { HandFollower, pairOn } from "../support/rollback.ts";
import { auditDatabase } from "../model/audit.ts";
import { catalog } from "../support/catalog.ts";
import { testHomes } from "../support/homes.ts";
import { benchOn, connectionTo, openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { LONG_MS, pushOf, Tasks } from "../support/tasks.ts";

/**
 * Schemas of older versions, each as `agent_runtime state migrate --dump-sql` of that version wrote it, in one file:
 * numbered files, functions, lifecycle tables, books. A numbered file never changes; the functions of a
 * database are replaced, and must leave nothing of the former ones behind.
 */
const FIXTURES = [
  { file: "schema-1-migration.sql.gz", numbered: 1 },
  { file: "schema-3-migrations.sql.gz", numbered: 3 },
  { file: "schema-6-migrations.sql.gz", numbered: 6 },
];

const home = testHomes().find(({ name }) => name === "embedded")!;
const NUMBERED = readMigrations("main").filter(({ number }) => number > 0);

async function withSchema(file: string): Promise<Bench> {
  const bench = benchOn(await home.createDatabase());
  const schema = readFileSync(path.join(packageRoot(), "test", "fixtures", file));
  await bench.sql(gunzipSync(schema).toString("utf8"));
  return bench;
}

/** A database as an older version made and filled it. */
async function oldDatabase(file: string): Promise<Bench> {
  const bench = await withSchema(file);
  const commit = (changes: readonly object[], fields: object = {}): Promise<unknown> =>
    bench.sql("select agent_state_api.commit($1)", [JSON.stringify({ changes, ...fields })]);
  const talk = { id: "talk", type: "note", data: { log: [] as number[] } };
  await commit([talk, { id: "doc", type: "note", data: { n: 0 } }], { scope: "ann" });
  for (let n = 1; n <= 50; n++) {
    await commit([{ op: "append", id: "talk", path: "/log", items: [n] }], { scope: "ann" });
  }
  for (const phase of ["registered", "starting", "idle"]) {
    await commit([{ id: "agent", type: "agent", data: { phase }, phase }], { scope: "ann" });
  }
  for (let n = 1; n <= 3; n++) {
    await commit([{ op: "merge", id: "doc", patch: { n } }], { scope: "ann", actor: "ann" });
  }
  await commit([{ id: "gone", type: "note", data: 1 }], { idempotencyKey: "once" });
  await commit([{ op: "delete", id: "gone" }]);
  await commit([{ id: "job", type: "task", data: { plain: true } }]);
  return bench;
}

/** What a database has beside its data. */
async function schemaOf(bench: Bench): Promise<unknown> {
  return await catalog(await bench.connect());
}

test.each(FIXTURES)(
  "a database made of $file is brought up to date, and goes on",
  async ({ file, numbered }) => {
    const bench = await oldDatabase(file);
    const before = await bench.sql(
      `select s.id, s.version, s.step, s.phase, s.deleted, s.digest, c.body::text from agent_state.states s
       join agent_state.changes c on c.state_no = s.state_no order by s.id, c.version`,
    );
    const { applied } = await migrate(connectionTo(bench.database.adminUrl));
    expect(applied).toEqual([...NUMBERED.slice(numbered).map(({ name }) => name), "functions"]);
    const after = await bench.sql(
      `select s.id, s.version, s.step, s.phase, s.deleted, s.digest, c.body::text from agent_state.states s
       join agent_state.changes c on c.state_no = s.state_no order by s.id, c.version`,
    );
    expect(after).toEqual(before);
    const fresh = await openBench(home);
    onTestFinished(() => fresh.close());
    expect(await schemaOf(bench)).toEqual(await schemaOf(fresh));
    await auditDatabase(bench, "default");

    // What was written is read: as it is, as it was, in lists, in the feed.
    const pair = await pairOn(bench, home);
    onTestFinished(() => pair.close());
    const { manager } = pair;
    const log = Array.from({ length: 50 }, (_, n) => n + 1);
    expect(await manager.getState("talk")).toMatchObject({ version: 51n, data: { log } });
    expect(await manager.getState("talk", { version: 26n })).toMatchObject({
      data: { log: log.slice(0, 25) },
    });
    expect(await manager.getState("agent")).toMatchObject({ phase: "idle", scope: "ann" });
    expect((await manager.list({ scope: "ann" })).items).toHaveLength(3);
    expect((await manager.history("doc")).items.map(({ version }) => version)).toEqual([
      4n,
      3n,
      2n,
      1n,
    ]);
    await expect(manager.getState("gone")).rejects.toMatchObject({ code: "GONE" });
    const again = { changes: [{ op: "update" as const, id: "gone", type: "note", data: 1 }] };
    expect(await manager.commit({ ...again, idempotencyKey: "once" })).toMatchObject({
      replayed: true,
    });

    // It is written to, followed, and goes back.
    await manager.mergeState("doc", { n: 4 }, { scope: "ann" });
    await manager.appendState("talk", "/log", [51], { scope: "ann" });
    await manager.updateState("agent", "agent", { phase: "busy" }, { scope: "ann", phase: "busy" });
    await manager.updateState("gone", "note", 2);
    const hand = await HandFollower.begin(pair);
    expect(await hand.drain()).toEqual([]);
    expect(await manager.rollback("ann")).toMatchObject({ source: "rollback", quarantined: [60n] });
    expect(await manager.getState("agent")).toMatchObject({ phase: "idle" });
    expect(await manager.rollback("ann", { toStep: 56n })).toMatchObject({ source: "history" });
    expect(await manager.getState("doc")).toMatchObject({ data: { n: 2 } });

    // And it takes tasks, beside a state of that type which is none.
    const tasks = new Tasks(bench.openStore().tasks, "default");
    await tasks.push(pushOf("task"));
    expect(await tasks.claimOne("worker", { leaseMs: LONG_MS })).toMatchObject({ id: "task" });
    await manager.updateState("job", "task", { plain: "still" });
    await auditDatabase(bench, "default");
  },
);

test("tasks, leases, effects and how far the relay came are what they were, and the work goes on", async () => {
  const bench = await withSchema("schema-6-migrations.sql.gz");
  onTestFinished(() => bench.close());
  const call = (fn: string, q: object): Promise<unknown> =>
    bench.sql(`select agent_state_api.${fn}_json($1)`, [
      JSON.stringify({ namespace: "default", ...q }),
    ]);
  const of = <Value>(value: Value): Value[] => Array<Value>(4).fill(value);
  await call("push_tasks", {
    id: ["first", "second", "third", "later"],
    stack: ["s", "s", "s", "other"],
    delay_ms: [null, null, null, "3600000"],
    kind: of("work"),
    input: of("1"),
    priority: of(0),
    preempt: of("step"),
    max_attempts: of(3),
    backoff_ms: of(0),
    max_backoff_ms: of(0),
    run_at: null,
    parent: null,
    parent_epoch: null,
    deadline: null,
    supersedes: null,
    key: null,
    actor: null,
    max_depth: 8,
    data_bytes: 1_000_000,
  });
  const worker = { worker: "w", incarnation: "1", lease_ms: LONG_MS * 10 };
  await call("claim_tasks", { ...worker, stacks: null, kinds: null, limit: 1 });
  const effect = {
    id: "third",
    epoch: "1",
    key: "mail",
    is_done: true,
    receipt: "7",
    again: false,
  };
  await call("record_effect", effect);
  await call("lease_relays", { holder: "relay", ttl_ms: LONG_MS });
  const place = { xid: "77", scope_no: "5", step: "2", position: 0 };
  await call("advance_relays", { holder: "relay", partitions: [3], epochs: ["1"], ...place });

  const before = await standing(bench);
  expect(before.map((rows) => rows.length)).toEqual([4, 2, 1, 1, 16]);
  await migrate(connectionTo(bench.database.adminUrl));
  expect(await standing(bench)).toMatchObject(before);

  const tasks = new Tasks(bench.openStore().tasks, "default");
  expect(await tasks.read("third")).toMatchObject({ phase: "working", epoch: 1n });
  expect(await tasks.report({ id: "third", epoch: 1n }, "complete", { body: "ok" })).toMatchObject({
    code: null,
  });
  expect(await tasks.claimOne("x", { stacks: ["s"] })).toMatchObject({ id: "second" });
  await auditDatabase(bench, "default");
});

/** Tables of tasks and relays, with the columns that they have now. */
async function standing(bench: Bench): Promise<object[][]> {
  const tables = ["tasks", "stacks", "workers", "effects", "relays"];
  return await Promise.all(
    tables.map((table) => bench.sql(`select * from agent_state.${table} order by 1`)),
  );
}

test("no step but one rewrites a table: whoever waited for it would find it empty", async () => {
  const bench = benchOn(await home.createDatabase());
  onTestFinished(() => bench.close());
  const files = async (): Promise<Map<string, string>> => {
    const rows = await bench.sql<{ name: string; file: string }>(
      `select relname::text as name, pg_relation_filenode(oid)::text as file from pg_class
        where relnamespace = to_regnamespace('agent_state') and relkind = 'r'`,
    );
    return new Map(rows.map(({ name, file }) => [name, file]));
  };
  const rewritten: string[] = [];
  for (const { name, sql } of NUMBERED) {
    const before = await files();
    await bench.sql(sql);
    const after = await files();
    for (const [table, file] of before) {
      if (after.get(table) !== file) rewritten.push(`${name}: ${table}`);
    }
  }
  expect(rewritten).toEqual(["0007_listed_phases.sql: states"]); // older than the first release
});
