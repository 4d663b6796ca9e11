import pg from "pg";
import type { Ledger } from "./ledger.ts";

/** What is wrong with a database, each by name; all empty where every promise was kept. */
export interface Verdict {
  /** Acknowledged, and not there as acknowledged. */
  readonly lost: readonly string[];
  /** Told that it did not happen, and there. */
  readonly denied: readonly string[];
  /** There in parts, or more than once. */
  readonly halfOrTwice: readonly string[];
  readonly versionGaps: readonly string[];
  readonly stepGaps: readonly string[];
  /** States whose row does not say what their newest change says. */
  readonly staleStates: readonly string[];
  /** States whose digests do not chain. */
  readonly brokenDigests: readonly string[];
  /** Creates that never came to an end. */
  readonly reservations: readonly string[];
  /** Answers that no fault explains. */
  readonly unexpected: readonly string[];
}

/** The verdict of which a test is proud. */
export const SOUND: Verdict = {
  lost: [],
  denied: [],
  halfOrTwice: [],
  versionGaps: [],
  stepGaps: [],
  staleStates: [],
  brokenDigests: [],
  reservations: [],
  unexpected: [],
};

const LOST = `
  select a.key from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) a(key, id, version, step)
   where not exists (select from agent_state.states s join agent_state.changes c on c.state_no = s.state_no
                      where s.namespace = 'default' and s.id = a.id and c.version = a.version
                        and c.step = a.step and c.idempotency_key = a.key)`;

const DENIED = `
  select distinct c.idempotency_key from agent_state.changes c where c.idempotency_key = any ($1::text[])`;

const HALF_OR_TWICE = `
  select a.key from unnest($1::text[], $2::bigint[]) a(key, size)
    join (select c.idempotency_key as key, count(*) as size, count(distinct (c.scope_no, c.step)) as steps
            from agent_state.changes c group by 1) c on c.key = a.key
   where c.size <> a.size or c.steps <> 1`;

const VERSION_GAPS = `
  select s.id from agent_state.changes c join agent_state.states s on s.state_no = c.state_no
   group by s.state_no having min(c.version) <> 1 or max(c.version) <> count(*)`;

const STEP_GAPS = `
  select o.scope from (select distinct c.scope_no, c.step from agent_state.changes c) c
    join agent_state.scopes o on o.scope_no = c.scope_no
   group by o.scope_no having min(c.step) <> 1 or max(c.step) <> count(*)`;

const STALE_STATES = `
  select s.id from agent_state.states s
    join lateral (select c.version, c.step, c.digest from agent_state.changes c
                   where c.state_no = s.state_no order by c.version desc limit 1) c on true
   where (s.version, s.step, s.digest) is distinct from (c.version, c.step, c.digest)`;

const BROKEN_DIGESTS = `
  select s.id from agent_state.states s where agent_state_api.verify_state(s.namespace, s.id) is not null`;

const RESERVATIONS = `select s.id from agent_state.states s where s.version = 0`;

/** Judges the database at `connection` by what callers were told. */
export async function judge(connection: pg.ClientConfig, ledger: Ledger): Promise<Verdict> {
  const client = new pg.Client(connection);
  await client.connect();
  const names = async (statement: string, values: readonly unknown[] = []): Promise<string[]> => {
    const { rows } = await client.query<string[]>({
      text: statement,
      values: [...values],
      rowMode: "array",
    });
    return rows.map(([name]) => name!);
  };
  try {
    return {
      lost: await names(LOST, promisesOf(ledger)),
      denied: await names(DENIED, [keysOf(ledger, "denied")]),
      halfOrTwice: await names(HALF_OR_TWICE, sizesOf(ledger)),
      versionGaps: await names(VERSION_GAPS),
      stepGaps: await names(STEP_GAPS),
      staleStates: await names(STALE_STATES),
      brokenDigests: await names(BROKEN_DIGESTS),
      reservations: await names(RESERVATIONS),
      unexpected: [...new Set(ledger.unexpected)],
    };
  } finally {
    await client.end();
  }
}

/** Writes that are there although their caller got no answer, or was told that it may be. */
export async function happenedOpen(
  connection: pg.ClientConfig,
  ledger: Ledger,
): Promise<readonly string[]> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    const { rows } = await client.query<{ idempotency_key: string }>(DENIED, [
      keysOf(ledger, "open"),
    ]);
    return rows.map((row) => row.idempotency_key);
  } finally {
    await client.end();
  }
}

/** Every change that was acknowledged, in columns: key, id, version, step. */
function promisesOf(ledger: Ledger): string[][] {
  const rows = ledger.attempts.flatMap(({ changeset, committed }) =>
    (committed?.changes ?? []).map(({ id, version, step }) => [
      changeset.idempotencyKey,
      id,
      version.toString(),
      step.toString(),
    ]),
  );
  return [0, 1, 2, 3].map((column) => rows.map((row) => row[column]!));
}

function sizesOf(ledger: Ledger): [string[], string[]] {
  const { attempts } = ledger;
  return [
    attempts.map(({ changeset }) => changeset.idempotencyKey),
    attempts.map(({ changeset }) => changeset.changes.length.toString()),
  ];
}

function keysOf(ledger: Ledger, fate: "open" | "denied"): string[] {
  return ledger.attempts
    .filter((attempt) => attempt.fate === fate)
    .map(({ changeset }) => changeset.idempotencyKey);
}
