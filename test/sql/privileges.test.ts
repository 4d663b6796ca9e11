import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

const reads = [
  "check_feed",
  "copy_log",
  "copy_standing",
  "describe_server",
  "digests_at",
  "digests_of",
  "feed_backlog",
  "feed_bounds",
  "feed_page",
  "foreign_changes",
  "gates_changed",
  "get",
  "list_states",
  "parked_figures",
  "read_copy",
  "read_document",
  "read_feed",
  "read_history",
  "read_migrations",
  "read_parked",
  "read_relay",
  "read_rollback",
  "read_rollback_plan",
  "read_scope",
  "read_scope_states",
  "read_stack",
  "read_states",
  "read_step",
  "read_tasks",
  "read_version",
  "relay_backlog",
  "scope_heads",
  "scope_versions",
  "scopes_after",
  "state_digests",
  "survey_stacks",
  "verify_state",
];
const messages = [
  "advance_relays",
  "drop_parked",
  "lease_relays",
  "park_message",
  "release_relays",
];
const tasks = [
  "answer_task",
  "cancel_task",
  "claim_tasks",
  "end_leases",
  "heartbeat",
  "prune_tasks",
  "push_tasks",
  "record_effect",
  "report_tasks",
  "retry_task",
  "sweep_tasks",
];
const writes = [...reads, ...tasks, ...messages, "commit", "commit_batch", "expired_states"];
const operations = [
  ...writes,
  "adopt_history",
  "check_states",
  "check_these",
  "count_findings",
  "hold_scope",
  "list_findings",
  "missing_versions",
  "newest_states",
  "prune_history",
  "quarantine_step",
  "read_strays",
  "record_findings",
  "release_checked",
  "release_scope",
  "repair_row",
  "repair_task",
  "resolve_findings",
  "restore_change",
  "rollback_scope",
  "scope_state_numbers",
  "settle_strays",
  "suspect_tasks",
];

/** What each may call; nobody may call more. */
const MAY_CALL = {
  agent_state_reader: withDoors(reads),
  agent_state_writer: withDoors(writes),
  agent_state_operator: withDoors(operations),
  nobody: [],
} as const;

/** Each function that takes values has a door that takes them as JSON; some take JSON themselves. */
function withDoors(names: readonly string[]): string[] {
  const doors = names.filter((name) => !["commit", "get", "read_copy"].includes(name));
  return [...names, ...doors.map((name) => `${name}_json`)].toSorted();
}

type Who = keyof typeof MAY_CALL;

const whos = Object.keys(MAY_CALL) as Who[];
const insufficientPrivilege = { code: "42501" };
const note = JSON.stringify({ changes: [{ id: "n", type: "note", data: { a: 1 } }] });

describeOnHomes("a login", (home) => {
  let bench: Bench;
  let logins: Record<Who, string>;
  const open: pg.Client[] = [];

  beforeAll(async () => {
    bench = await openBench(home);
    // Roles belong to the whole server: their names must not meet those of another test file.
    const named = whos.map((who) => [who, `${who}_${bench.database.name}`] as const);
    logins = Object.fromEntries(named) as Record<Who, string>;
    for (const [who, login] of named) {
      const member = who === "nobody" ? "" : `in role ${who}`;
      await bench.sql(`create role ${login} login password 'secret' ${member}`);
    }
    await bench.sql("select agent_state_api.commit($1)", [note]);
  });

  afterAll(async () => {
    for (const client of open) await client.end().catch(() => undefined);
    for (const login of Object.values(logins)) {
      await bench.sql(`drop owned by ${login}`);
      await bench.sql(`drop role ${login}`);
    }
    await bench.close();
  });

  async function connectAs(who: Who, settings = ""): Promise<pg.Client> {
    const connectionString = bench.database.url.replace(/\/\/[^@]*@/, `//${logins[who]}:secret@`);
    const client = new pg.Client({ connectionString });
    client.on("error", () => undefined);
    open.push(client);
    await client.connect();
    if (settings !== "") await client.query(settings);
    return client;
  }

  test.each(whos)("as %s may call its functions and nothing else", async (who) => {
    const rows = await bench.sql<{ schema: string; name: string }>(
      `select n.nspname as schema, p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname like 'agent\\_state%' and has_function_privilege($1, p.oid, 'execute') order by p.proname collate "C"`,
      [logins[who]],
    );
    expect(rows).toEqual(MAY_CALL[who].map((name) => ({ schema: "agent_state_api", name })));
  });

  test.each(whos)("as %s reaches no table, sequence or column of states", async (who) => {
    const rows = await bench.sql<{ what: string }>(
      `select c.relname || ' ' || privilege as what
         from pg_class c join pg_namespace n on n.oid = c.relnamespace,
              unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) privilege
        where n.nspname like 'agent\\_state%' and c.relkind in ('r', 'v', 'm', 'p')
          and (has_table_privilege($1, c.oid, privilege)
               or (privilege in ('select', 'insert', 'update', 'references') and has_any_column_privilege($1, c.oid, privilege)))
       union all
       select c.relname || ' sequence' from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname like 'agent\\_state%' and c.relkind = 'S'
          and (has_sequence_privilege($1, c.oid, 'usage') or has_sequence_privilege($1, c.oid, 'update'))`,
      [logins[who]],
    );
    // The books of migrations are no secret: a login that may not migrate looks whether it need.
    expect(rows).toEqual(who === "nobody" ? [] : [{ what: "migrations select" }]);
    const client = await connectAs(who);
    for (const statement of [
      "select * from agent_state.states",
      "update agent_state.changes set body = null where true",
      "create table agent_state.mine ()",
    ]) {
      await expect(client.query(statement), statement).rejects.toMatchObject(insufficientPrivilege);
    }
  });

  test("reads as a reader, writes as a writer, prunes as an operator; one less, and it is refused", async () => {
    const attempts: readonly [Who, Who, string, unknown[]][] = [
      ["agent_state_reader", "nobody", 'select agent_state_api.get(\'{"id": "n"}\')', []],
      ["agent_state_writer", "agent_state_reader", "select agent_state_api.commit($1)", [note]],
      [
        "agent_state_operator",
        "agent_state_writer",
        "select agent_state_api.prune_history(now() - interval '1 year', 10)",
        [],
      ],
      ["agent_state_operator", "agent_state_writer", "select agent_state_api.adopt_history()", []],
    ];
    for (const [may, mayNot, statement, values] of attempts) {
      await expect((await connectAs(mayNot)).query(statement, values)).rejects.toMatchObject(
        insufficientPrivilege,
      );
      expect((await (await connectAs(may)).query(statement, values)).rowCount).toBe(1);
    }
  });

  test("gains nothing from tables, functions, operators and types of its own in the way", async () => {
    const { rows } = await bench
      .sql<{ owner: string }>("select current_user as owner")
      .then((found) => ({ rows: found }));
    const client = await connectAs("agent_state_writer");
    // In one transaction, so that a transaction pooler keeps it all on one connection.
    await client.query("begin");
    await client.query(`
      create function pg_temp.caught(t pg_catalog.text) returns boolean language plpgsql as $$
        begin
          if current_user <> session_user then raise exception 'ran as %', current_user; end if;
          return true;
        end $$;
      create domain pg_temp.text as pg_catalog.text check (pg_temp.caught(value));
      create domain pg_temp.json as pg_catalog.json check (pg_temp.caught(value::pg_catalog.text));
      create domain pg_temp.bytea as pg_catalog.bytea check (pg_temp.caught('bytea'));
      create domain pg_temp.xid8 as pg_catalog.xid8 check (pg_temp.caught('xid8'));
      create table pg_temp.states (id pg_catalog.text, namespace pg_catalog.text);
      create table pg_temp.changes (feed_xid pg_catalog.xid8);
      create function pg_temp.sha256(pg_catalog.bytea) returns pg_catalog.bytea language sql as $$ select null::pg_catalog.bytea $$;
      create function pg_temp.same(pg_catalog.text, pg_catalog.text) returns boolean language sql as $$ select pg_temp.caught($1) $$;
      create operator pg_temp.= (leftarg = pg_catalog.text, rightarg = pg_catalog.text, procedure = pg_temp.same);
      set local search_path = pg_temp, pg_catalog`);
    const { rows: answers } = await client.query<{ answer: { changes: { digest: string }[] } }>(
      `select agent_state_api.commit('{"changes": [{"id": "shadowed", "type": "task", "data": {"a": [1]}}]}'::pg_catalog.jsonb) as answer`,
    );
    expect(answers[0]?.answer.changes[0]?.digest).toMatch(/^[0-9a-f]{64}$/);
    await client.query(
      `select agent_state_api.commit('{"changes": [{"op": "append", "id": "shadowed", "path": "/a", "items": [2]}]}'::pg_catalog.jsonb)`,
    );
    for (const call of [
      `agent_state_api.get('{"id": "shadowed", "version": "1"}'::pg_catalog.jsonb)`,
      "agent_state_api.read_feed(0, 0, 0, 0, 10)",
      "agent_state_api.foreign_changes(0, 0, 0, 0, 0, 10)",
      "agent_state_api.list_states('default', 'task', 'shadowed', 'submitted', 's', '', 10)",
      "agent_state_api.verify_state('default', 'shadowed')",
    ]) {
      await client.query(`select * from ${call}`);
    }
    await client.query("commit");
    expect(rows[0]?.owner).not.toBe(logins.agent_state_writer);
    const [state] = await bench.sql("select version from agent_state.states where id = 'shadowed'");
    expect(state).toEqual({ version: "2" });
  });
});
