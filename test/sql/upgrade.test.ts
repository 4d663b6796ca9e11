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
];

const home = testHomes().find(({ name }) => name === "embedded")!;
const NUMBERED = readMigrations("main").filter(({ number }) => number > 0);

/** A database as an older version made and filled it. */
async function oldDatabase(file: string): Promise<Bench> {
  const bench = benchOn(await home.createDatabase());
  const schema = readFileSync(path.join(packageRoot(), "test", "fixtures", file));
  await bench.sql(gunzipSync(schema).toString("utf8"));
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
