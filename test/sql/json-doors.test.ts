import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { unsafeStatement } from "../support/safe-update.ts";
import { until } from "../support/until.ts";

interface Answer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** JSON that would not survive a parser: key order, repeated zeros, integers beyond 2^53. */
const DOCUMENT =
  '{"z": 1.10, "a" : 12345678901234567890, "ü": "\\"q\\" \\u00e9", "l": [null, true]}';

const KEYS = { namespace: ["n", "n", "n"], id: ["doc", "nobody", "ü 1"] };

const BATCH = {
  unit: [1, 2],
  namespace: ["n", "n"],
  id: ["doc", "ü 1"],
  type: ["note", "task"],
  scope: ["team", null],
  op: ["u", "u"],
  body: [DOCUMENT, "null"],
  phase: null,
  expected: ["0", null],
  actor: ["ann", null],
  key: [null, "key"],
  expires: ["infinity", "2100-01-02T03:04:05.678Z"],
  data_bytes: 1_000,
};

const PARKED = {
  topic: "t",
  message_id: "m",
  namespace: "n",
  group: "ü",
  code: "INVALID_JSON",
  detail: "no JSON",
  body: "AP8=",
  messages_limit: 1,
  bytes_limit: "2",
};

const NO_FILTER = { type: null, scope: null, phase: null, prefix: null, after: null };

const FROM_START = { xid: "0", scope_no: "0", step: "0", position: 0 };

/** Functions that read, with values that make each answer something. */
const READS: readonly [string, Record<string, unknown>][] = [
  ["check_feed", FROM_START],
  ["check_states", { after: "0", limit: 9 }],
  ["check_these", { state_no: ["1"] }],
  ["count_findings", {}],
  ["digests_at", { ...KEYS, version: ["1", "1", "9"] }],
  ["digests_of", { state_no: ["1"] }],
  ["list_findings", { namespace: null, scope: null, open: true, before: null, limit: 9 }],
  ["missing_versions", { namespace: "n", id: "doc", limit: 9 }],
  ["newest_states", { limit: 9 }],
  ["read_strays", { after: "0", limit: 9 }],
  ["scope_heads", { namespace: ["n"], scope: ["team"] }],
  ["scope_versions", { namespace: "n", scope: "team", step: "9" }],
  ["scopes_after", { namespace: null, scope: null, limit: 9 }],
  ["scope_state_numbers", { namespace: "n", scope: "team", after: "0", limit: 9 }],
  ["state_digests", { after: "0", limit: 9 }],
  ["describe_server", {}],
  ["expired_states", { limit: 5 }],
  ["feed_bounds", {}],
  ["foreign_changes", { writer: 7, ...FROM_START, limit: 9 }],
  ["list_states", { namespace: "n", ...NO_FILTER, limit: 9 }],
  [
    "list_states",
    { ...NO_FILTER, namespace: "n", type: "task", scope: "ü 1", after: "a", limit: 9 },
  ],
  ["read_document", { state_no: "1", version: "1" }],
  ["read_feed", { ...FROM_START, limit: 9 }],
  ["read_history", { namespace: "n", id: "doc", before: null, limit: 9 }],
  ["read_migrations", {}],
  ["parked_figures", {}],
  ["survey_stacks", { after: "0", limit: 9 }],
  ["read_parked", { namespace: "n", parked_no: null, after: "0", limit: 9 }],
  ["read_relay", { partitions: [0, 1, 2, 3], ...FROM_START, limit: 9, bytes: 1_000 }],
  ["relay_backlog", { limit: 9 }],
  ["read_rollback", { namespace: "default", scope: "none", step: 1 }],
  ["read_rollback_plan", { namespace: "n", scope: "team", asked: "0", key: null }],
  ["read_scope", { namespace: "n", scope: "team" }],
  ["read_scope_states", { namespace: "n", scope: "team", step: null, after: null, limit: 9 }],
  ["read_states", KEYS],
  ["read_step", { namespace: "n", scope: "team", step: "1" }],
  ["read_version", { namespace: "n", id: "doc", version: "1" }],
  ["suspect_tasks", { limit: 9 }],
  ["verify_state", { namespace: "n", id: "doc" }],
];

const EMPTY_WHERE_ALL_IS_WELL: ReadonlySet<string> = new Set([
  "check_these",
  "count_findings",
  "expired_states",
  "list_findings",
  "missing_versions",
  "read_strays",
  "survey_stacks",
  "suspect_tasks",
]);

describeOnHomes("a JSON door", (home) => {
  let bench: Bench;
  /** One for all: there are more doors than connections. */
  let client: Awaited<ReturnType<Bench["connect"]>>;

  beforeAll(async () => {
    bench = await openBench(home);
    client = await bench.connect();
    await ask("commit_batch", BATCH);
    await ask("park_message", PARKED);
    const isSettled = async () =>
      (await ask("read_feed", { ...FROM_START, limit: 9 })).rows.length > 0;
    await until(isSettled, { what: "the end of transactions of others" });
  });

  afterAll(() => bench.close());

  async function ask(fn: string, values: unknown): Promise<Answer> {
    const [row] = await bench.sql<{ answer: Answer }>(
      `select agent_state_api.${fn}_json($1) as answer`,
      [JSON.stringify(values)],
    );
    return row!.answer;
  }

  /** What the door and what the function itself answer, on one snapshot, each value as text. */
  async function askBoth(fn: string, values: Record<string, unknown>): Promise<[Answer, Answer]> {
    const taken = Object.keys(values).map((name, index) => `p_${name} => $${index + 1}`);
    await client.query("begin isolation level repeatable read");
    const door = await client.query<{ answer: Answer }>(
      `select agent_state_api.${fn}_json($1) as answer`,
      [JSON.stringify(values)],
    );
    const { fields, rows } = await client.query<(string | null)[]>({
      text: `select * from agent_state_api.${fn}(${taken.join(", ")})`,
      values: Object.values(values),
      rowMode: "array",
      types: { getTypeParser: () => (text: string) => text },
    });
    await client.query("commit");
    return [door.rows[0]!.answer, { columns: fields.map(({ name }) => name), rows }];
  }

  test("answers a commit with a row a change, and stores what came, letter by letter", async () => {
    const batch = { ...BATCH, id: ["door", "ö"], scope: ["other", null], key: [null, "other"] };
    const { columns, rows } = await ask("commit_batch", batch);
    const at = (name: string) => rows.map((row) => row[columns.indexOf(name)]);
    expect(at("n")).toEqual(["1", "2"]);
    expect(at("code")).toEqual([null, null]);
    expect(at("created")).toEqual(["t", "t"]);
    expect(at("phase")).toEqual([null, "submitted"]);
    expect(at("digest")).toEqual([0, 1].map(() => expect.stringMatching(/^\\x[0-9a-f]{64}$/)));
    expect(at("at")[0]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
    const stored = await bench.sql(
      "select body::text as body, actor from agent_state.changes order by state_no",
    );
    expect(stored.slice(0, 2)).toEqual([
      { body: DOCUMENT, actor: "ann" },
      { body: "null", actor: null },
    ]);
    const expiries = await bench.sql(
      "select expires_at::timestamptz(3) as at from agent_state.states where id in ('door', 'ö') order by id",
    );
    expect(expiries).toEqual([{ at: null }, { at: new Date("2100-01-02T03:04:05.678Z") }]);
  });

  test.each(READS)("answers what %s itself answers, as text (%j)", async (fn, values) => {
    const [answer, itself] = await askBoth(fn, values);
    expect(answer).toEqual(itself);
    if (!EMPTY_WHERE_ALL_IS_WELL.has(fn)) expect(answer.rows.length).toBeGreaterThan(0);
  });

  test("stands beside every function but those that take JSON themselves", async () => {
    const rows = await bench.sql<{ name: string }>(
      `select f.proname as name from pg_proc f
        where f.pronamespace = 'agent_state_api'::regnamespace and f.proname not like '%\\_json'
          and not exists (select from pg_proc d where d.pronamespace = f.pronamespace and d.proname = f.proname || '_json') order by 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(["commit", "get", "read_copy"]);
  });

  test("takes the body of a POST where it writes, and q where it reads, which also goes by GET", async () => {
    const rows = await bench.sql<{
      name: string;
      takes: string;
      volatility: string;
      writes: boolean;
    }>(
      `select d.proname as name, pg_get_function_arguments(d.oid) as takes, d.provolatile as volatility, f.provolatile = 'v' as writes
         from pg_proc d join pg_proc f on f.pronamespace = d.pronamespace and d.proname = f.proname || '_json'
        where d.pronamespace = 'agent_state_api'::regnamespace`,
    );
    const shape = (name: string) => {
      const { takes, volatility } = rows.find((row) => row.name === `${name}_json`)!;
      return `${takes} ${volatility}`;
    };
    expect(["commit_batch", "prune_history", "adopt_history"].map(shape)).toEqual(
      Array.from({ length: 3 }, () => "json v"),
    );
    for (const { takes, volatility, writes } of rows) {
      expect(`${takes} ${volatility}`).toBe(writes ? "json v" : "q json s");
    }
  });

  test("takes its argument encoded twice, as some clients and gateways send it", async () => {
    const values = { namespace: "n", id: "doc", version: "1" };
    expect(await ask("read_version", JSON.stringify(values))).toEqual(
      await ask("read_version", values),
    );
  });

  test("leaves what is not said to the function's own defaults", async () => {
    await ask("commit_batch", { ...BATCH, id: ["d1", "d2"], scope: null, key: null });
    const [row] = await bench.sql(
      "select writer from agent_state.changes order by state_no desc limit 1",
    );
    expect(row).toEqual({ writer: 0 });
  });

  test("writes times and bytes the same whatever the session is set to", async () => {
    const values = { namespace: "n", id: "doc", version: "1" };
    const text = `select agent_state_api.read_version_json($1) as answer`;
    await client.query("begin");
    await client.query(`set local datestyle = 'German'`);
    await client.query(`set local bytea_output = 'escape'`);
    const { rows } = await client.query<{ answer: Answer }>(text, [JSON.stringify(values)]);
    await client.query("rollback");
    expect(rows[0]?.answer).toEqual(await ask("read_version", values));
  });

  test("leads to nothing that updates or deletes without WHERE, which a Supabase refuses", async () => {
    const sources = await bench.sql<{ name: string; source: string }>(
      `select oid::regprocedure::text as name, prosrc as source from pg_proc
        where pronamespace in ('agent_state'::regnamespace, 'agent_state_api'::regnamespace)`,
    );
    expect(sources.length).toBeGreaterThan(40);
    const unsafe = sources.filter(({ source }) => unsafeStatement(source) !== undefined);
    expect(unsafe.map(({ name }) => name)).toEqual([]);
  });

  test("comes with a function that is added, goes with one that is dropped, and opens to whom it opens", async () => {
    const doors = readFileSync(
      join(packageRoot(), "migrations/main/functions/91_open_json_doors.sql"),
      "utf8",
    );
    const acl = async () => {
      const { rows } = await client.query<{ may: string | null }>(
        `select array_to_string(proacl, ' ') as may from pg_proc where proname = 'add_json'`,
      );
      return rows[0]?.may;
    };
    await client.query("begin");
    await client.query(`create function agent_state_api.add(p_a bigint, p_b bigint default 40) returns bigint language sql immutable
      as 'select p_a + p_b'; revoke execute on function agent_state_api.add from public;
      grant execute on function agent_state_api.add to agent_state_reader`);
    await client.query(doors);
    const { rows } = await client.query<{ answer: Answer }>(
      `select agent_state_api.add_json('{"a": "9007199254740993"}') as answer`,
    );
    expect(rows[0]?.answer).toEqual({ columns: ["add"], rows: [["9007199254741033"]] });
    expect(await acl()).toMatch(/^\w+=X\/\w+ agent_state_reader=X\/\w+$/);
    await client.query("drop function agent_state_api.add");
    await client.query(doors);
    expect(await acl()).toBeUndefined();
    await client.query("rollback");
  });
});
