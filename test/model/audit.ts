import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { FeedPosition, FeedRow, StateStore } from "../../src/state/ports.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

interface LoggedChange {
  readonly state_no: string;
  readonly namespace: string;
  readonly id: string;
  readonly type: string;
  readonly scope_no: string;
  readonly step: string;
  readonly version: string;
  readonly stored: string;
  readonly phase: string | null;
  readonly digest: Buffer;
  readonly body: string | null;
}

/**
 * Everything that holds in a database at rest, whatever was written to it; throws where it does not.
 *
 * @param inDoubt the tasks that ended with an effect in doubt: the detector has to tell of each.
 */
export async function auditDatabase(
  bench: Bench,
  namespace: string,
  inDoubt: readonly string[] = [],
): Promise<void> {
  const log = await bench.sql<LoggedChange>(
    `select c.state_no, s.namespace, s.id, s.type, c.scope_no, c.step, c.version, c.stored::text, c.phase, c.digest, c.body::text
       from agent_state.changes c join agent_state.states s using (state_no)
      where s.namespace = $1 order by c.state_no, c.version`,
    [namespace],
  );
  const byState = groupBy(log, ({ state_no }) => state_no);
  for (const changes of byState.values()) checkChain(changes);
  for (const changes of groupBy(log, ({ scope_no }) => scope_no).values()) {
    const steps = [...new Set(changes.map(({ step }) => Number(step)))].toSorted((a, b) => a - b);
    expect(steps, "steps of a scope").toEqual(steps.map((_, index) => index + 1));
  }
  const lost = await bench.sql(
    `select s.id, s.scope, c.scope as named
       from agent_state.states s full join agent_state.scopes c on c.scope_no = s.scope_no
      where $1 in (s.namespace, c.namespace) and c.scope is distinct from coalesce(s.scope, s.id)
        and not exists (select from agent_state.holds h where h.scope_no = c.scope_no)`,
    [namespace],
  );
  expect(lost, "states without their scope, scopes left behind").toEqual([]);
  const states = await bench.sql(
    `select s.state_no, s.version, s.step, s.phase, s.digest, s.deleted, s.base_version, s.delta_bytes,
            agent_state_api.verify_state(s.namespace, s.id) as broken
       from agent_state.states s where s.namespace = $1`,
    [namespace],
  );
  expect(states.length, "placeholders left behind").toBe(byState.size);
  for (const state of states) {
    const changes = byState.get(state["state_no"] as string)!;
    const newest = changes.at(-1)!;
    const base = changes.findLastIndex(({ stored }) => stored === "f");
    const deltas = changes.slice(base + 1).map(({ body }) => Buffer.byteLength(body!));
    expect(state).toEqual({
      state_no: newest.state_no,
      version: newest.version,
      step: newest.step,
      phase: newest.phase,
      digest: newest.digest,
      deleted: isTombstone(newest),
      base_version: changes[base]!.version,
      delta_bytes: deltas.reduce((sum, bytes) => sum + bytes, 0),
      broken: null,
    });
  }
  await checkUnconfused(bench, states as { state_no: string }[], inDoubt);
}

/** The detector finds nothing in what went through the functions, and takes none of it for somebody's handiwork. */
async function checkUnconfused(
  bench: Bench,
  states: readonly { readonly state_no: string }[],
  inDoubt: readonly string[],
): Promise<void> {
  const numbers = states.map(({ state_no }) => Number(state_no));
  if (numbers.length === 0) return;
  const faults = await bench.sql(
    `select f.check_name, f.id, f.version, f.detail from agent_state.named_faults($1, $2) f where f.state_no = any ($3)`,
    [Math.min(...numbers) - 1, Math.max(...numbers), numbers],
  );
  const isToBe = (fault: Record<string, unknown>): boolean =>
    fault["check_name"] === "C12" && inDoubt.includes(fault["id"] as string);
  expect(
    faults.filter((fault) => !isToBe(fault)),
    "what the detector finds",
  ).toEqual([]);
  expect(faults.length, "effects in doubt that the detector tells of").toBe(inDoubt.length);
  const strays = await bench.sql(
    "select what, state_no, version from agent_state.strays where state_no = any ($1)",
    [numbers],
  );
  expect(strays, "what counts as made by hand").toEqual([]);
}

/** All changes committed before now, in pages; waits until they are settled. */
export async function readWholeFeed(
  bench: Bench,
  store: StateStore,
  { page, onPage }: { page: () => number; onPage?: (rows: readonly FeedRow[]) => void },
): Promise<FeedRow[]> {
  await settled(bench);
  const rows: FeedRow[] = [];
  let after: FeedPosition = { xid: 0n, scopeNo: 0n, step: 0n, position: 0 };
  for (;;) {
    const next = await store.feed.read(after, page());
    if (next.length === 0) return rows;
    onPage?.(next);
    rows.push(...next);
    after = next.at(-1)!.at;
  }
}

/** Waits until whatever was committed before now is settled: no transaction of before is under way. */
export async function settled(bench: Bench): Promise<void> {
  const [now] = await bench.sql<{ xid: string }>("select pg_current_xact_id()::text as xid");
  const isSettled = "select pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8 as yes";
  await until(async () => (await bench.sql<{ yes: boolean }>(isSettled, [now!.xid]))[0]!.yes, {
    what: "the feed to settle",
  });
}

/** Steps of each scope never go back, and nothing comes twice. */
export function checkFeedOrder(rows: readonly FeedRow[]): void {
  const steps = new Map<string, bigint>();
  const seen = new Set<string>();
  for (const row of rows) {
    const scope = `${row.namespace}/${row.scope}`;
    expect(row.step, `a step of ${scope}`).toBeGreaterThanOrEqual(steps.get(scope) ?? 0n);
    steps.set(scope, row.step);
    const name = `${row.stateNo}@${row.version}`;
    expect(seen.has(name), `${name} came twice`).toBe(false);
    seen.add(name);
  }
}

function groupBy<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(nameOf(item));
    if (group === undefined) groups.set(nameOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** Whatever left it: a delete or a rollback. */
function isTombstone({ stored, body }: LoggedChange): boolean {
  return stored === "f" && body === null;
}

/** Versions without a gap, each digest made of the one before: computed here, not in SQL. */
function checkChain(changes: readonly LoggedChange[]): void {
  let before: Buffer = Buffer.alloc(0);
  changes.forEach((change, index) => {
    expect(change.version, `a version of ${change.id}`).toBe(String(index + 1));
    const { namespace, id, type, step, version, stored, phase, body } = change;
    const letter = isTombstone(change) ? "d" : "u";
    const rest = [
      namespace,
      id,
      type,
      step,
      version,
      `${letter}${stored}${phase ?? ""}`,
      body ?? "",
    ];
    const digest = createHash("sha256").update(before).update(rest.join("\u001f")).digest();
    expect(change.digest.toString("hex"), `the digest of ${id}@${version}`).toBe(
      digest.toString("hex"),
    );
    before = change.digest;
  });
}
