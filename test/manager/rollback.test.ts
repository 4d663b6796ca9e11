import { afterAll, beforeAll, expect, test } from "vitest";
import type { CopyReader } from "../../src/manager/roll-back.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { AgentRuntimeError } from "../../src/state/errors.ts";
import type { CopiedState, ScopeCopy } from "../../src/state/recovery-ports.ts";
import type { CopyStanding, ScopeName } from "../../src/state/rollback-port.ts";
import type { RollbackOptions } from "../../src/state/rollback.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench, proxied } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

/** So that what is appended is kept as a delta. */
const LONG = "x".repeat(500);

/** A rollback database whose content the test says. */
class FakeCopies implements CopyReader {
  readonly scopes = new Map<string, ScopeCopy>();

  readCopy(_namespace: string, scope: string): Promise<ScopeCopy | null> {
    return Promise.resolve(this.scopes.get(scope) ?? null);
  }

  standing({ namespace, scope }: ScopeName): Promise<CopyStanding | null> {
    const copy = this.scopes.get(scope);
    return Promise.resolve(
      copy === undefined ? null : { namespace, scope, hold: false, isSuspect: false, ...copy },
    );
  }
}

describeOnHomes("a rollback", (home) => {
  let bench: Bench;
  let manager: StateManager;
  let copies: FakeCopies;
  let withCopies: StateManager;
  let count = 0;

  beforeAll(async () => {
    bench = await openBench(home);
    copies = new FakeCopies();
    manager = bench.openManager();
    withCopies = bench.openManager({ copies });
  });

  afterAll(() => bench.close());

  /** A scope whose one state was written so often. */
  async function scopeAt(steps: number): Promise<{ scope: string; id: string }> {
    const scope = `agent-${++count}`;
    const id = `${scope}-state`;
    for (let n = 1; n <= steps; n++) await manager.updateState(id, "note", { n }, { scope });
    return { scope, id };
  }

  /** A state as the rollback database would hold it at a version. */
  async function copied(id: string, version: bigint): Promise<CopiedState> {
    const { digest, phase, data } = await manager.getState(id, { version });
    return { id, version, digest, phase, text: JSON.stringify(data), verified: true };
  }

  async function keep(scope: string, copy: Partial<ScopeCopy>): Promise<void> {
    const { step } = await manager.scope(scope);
    const whole = { promotedStep: step - 1n, pendingStep: step, broken: null, states: [] };
    copies.scopes.set(scope, { ...whole, ...copy });
  }

  async function refusalOf(
    scope: string,
    options: RollbackOptions = {},
  ): Promise<AgentRuntimeError> {
    const call = withCopies.rollback(scope, options);
    const outcome = await call.then(
      () => null,
      (error: unknown) => error as AgentRuntimeError,
    );
    if (outcome === null) throw new Error("it was not refused");
    // Nothing was done, and nothing half.
    expect(outcome.facts.mayHaveHappened ?? false).toBe(false);
    const left = await bench.sql(
      `select (select count(*) from agent_state.quarantine q where q.scope_no = o.scope_no)
            + (select count(*) from agent_state.rollbacks r where r.scope_no = o.scope_no) as n
         from agent_state.scopes o where o.scope = $1`,
      [scope],
    );
    expect(left).toEqual([{ n: "0" }]);
    return outcome;
  }

  /** Past all rules, as a hand or a faulty disk would. */
  async function tamper(statement: string, values: readonly unknown[]): Promise<void> {
    const client = await bench.connect();
    await client.query("set session_replication_role = replica");
    const { rowCount } = await client.query(statement, [...values]);
    await client.end();
    expect(rowCount).toBeGreaterThan(0);
  }

  /** Whether a rollback waits for somebody's lock. */
  async function isWaiting(): Promise<boolean> {
    const rows = await bench.sql(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%rollback_scope%' and datname = current_database()`,
    );
    return rows.length > 0;
  }

  test("of one step takes its documents from the rollback database, and says so", async () => {
    const { scope, id } = await scopeAt(2);
    await keep(scope, { states: [await copied(id, 1n)] });
    expect(await withCopies.rollback(scope, { dryRun: true })).toMatchObject({
      source: "rollback",
    });
    // Main's own document is spoilt: what comes back is the copy's.
    await tamper(
      `update agent_state.changes c set body = '{"n":666}' from agent_state.states s
        where s.state_no = c.state_no and s.id = $1 and c.version = 1`,
      [id],
    );
    expect(await withCopies.rollback(scope)).toMatchObject({ source: "rollback", step: 3n });
    expect(await withCopies.getState(id)).toMatchObject({ version: 3n, data: { n: 1 } });
    const [kept] = await bench.sql(
      "select source from agent_state.rollbacks r join agent_state.scopes o using (scope_no) where o.scope = $1",
      [scope],
    );
    expect(kept).toEqual({ source: "rollback" });
  });

  test("twice in a row takes the second step from history: the copy holds another one", async () => {
    const { scope, id } = await scopeAt(3);
    await keep(scope, { states: [await copied(id, 2n)] });
    expect(await withCopies.rollback(scope)).toMatchObject({ source: "rollback" });
    expect(await withCopies.rollback(scope)).toMatchObject({ source: "history", restoredStep: 1n });
    expect((await withCopies.getState(id)).data).toEqual({ n: 1 });
  });

  test("to a named step comes from history, unless the copy holds just that", async () => {
    const { scope, id } = await scopeAt(3);
    await keep(scope, { states: [await copied(id, 2n)] });
    const planOf = (toStep: bigint) => withCopies.rollback(scope, { toStep, dryRun: true });
    expect((await planOf(1n)).source).toBe("history");
    expect((await planOf(2n)).source).toBe("rollback");
  });

  test.each<[string, Partial<ScopeCopy>]>([
    ["is a step behind", { promotedStep: 1n, pendingStep: 2n }],
    ["is being made anew", { broken: "it is being copied" }],
  ])("waits for a copy that %s: with its plan, and another way", async (_name, copy) => {
    const { scope, id } = await scopeAt(3);
    await keep(scope, { states: [await copied(id, 2n)], ...copy });
    const refusal = await refusalOf(scope);
    expect(refusal).toMatchObject({ code: "ROLLBACK_LAGS", status: 503, retryable: true });
    expect(refusal.facts.retryAfterMs).toBeGreaterThan(0);
    expect(refusal.facts.plan).toMatchObject({ restoredStep: "2", states: [{ id }] });
    expect(await withCopies.rollback(scope, { source: "history" })).toMatchObject({ step: 4n });
  });

  test.each<[string, (state: CopiedState) => CopiedState[]]>([
    ["of another digest", (state) => [{ ...state, digest: "0".repeat(64) }]],
    ["of another version", (state) => [{ ...state, version: 3n }]],
    ["in another phase", (state) => [{ ...state, phase: "ready" }]],
    ["that its own digests do not prove", (state) => [{ ...state, verified: false }]],
    ["that is missing", () => []],
  ])("does not believe a copy %s", async (_name, spoil) => {
    const { scope, id } = await scopeAt(3);
    await keep(scope, { states: spoil(await copied(id, 2n)) });
    const refusal = await refusalOf(scope);
    expect(refusal).toMatchObject({ code: "COPY_DIVERGES", status: 409 });
    expect(refusal.facts.plan).toMatchObject({ restoredStep: "2" });
    expect((await manager.getState(id, { consistency: "strong" })).version).toBe(3n);
  });

  test("does not believe a copy of what did not exist then", async () => {
    const { scope, id } = await scopeAt(1);
    const made = `${scope}-made`;
    await manager.updateState(made, "note", { n: 1 }, { scope });
    await keep(scope, { states: [await copied(id, 1n), await copied(made, 1n)] });
    expect((await refusalOf(scope)).code).toBe("COPY_DIVERGES");
  });

  test("needs a rollback database where it is told to use one", async () => {
    const { scope } = await scopeAt(2);
    await expect(manager.rollback(scope, { source: "rollback" })).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      facts: { field: "source" },
    });
  });

  test.each([
    ["the first version", 1],
    ["a delta on the way", 3],
    ["the version itself", 4],
  ])("from history finds %s tampered with, and restores nothing of it", async (_name, version) => {
    const scope = `agent-${++count}`;
    const id = `${scope}-talk`;
    await manager.updateState(id, "note", { list: ["first"], text: LONG }, { scope });
    for (const turn of [1, 2, 3, 4]) await manager.appendState(id, "/list", [turn]);
    const body = version === 1 ? { list: ["forged"], text: LONG } : { a: { "/list": ["forged"] } };
    await tamper(
      `update agent_state.changes c set body = $2 from agent_state.states s
        where s.state_no = c.state_no and s.id = $1 and c.version = $3`,
      [id, JSON.stringify(body), version],
    );
    const refusal = await refusalOf(scope, { toStep: 4n });
    expect(refusal).toMatchObject({ code: "HISTORY_BROKEN", status: 409 });
    expect(refusal.message).toContain(id);
  });

  test("does not take for a tombstone what history forgot", async () => {
    const scope = `agent-${++count}`;
    const id = `${scope}-talk`;
    await manager.updateState(id, "note", { list: [], text: LONG }, { scope });
    for (const turn of [1, 2]) await manager.appendState(id, "/list", [turn]);
    await manager.updateState(id, "note", { list: "new" }, { scope });
    await manager.updateState(id, "note", { list: "newer" }, { scope });
    // A page of pruning ended between a full copy and what was made upon it.
    await tamper(
      `delete from agent_state.changes c using agent_state.states s
        where s.state_no = c.state_no and s.id = $1 and c.version = 1`,
      [id],
    );
    for (const toStep of [1n, 3n]) {
      const refusal = await refusalOf(scope, { toStep });
      expect(refusal).toMatchObject({ code: "HISTORY_PRUNED", status: 410 });
    }
    expect(await manager.rollback(scope, { toStep: 4n })).toMatchObject({ step: 6n });
    expect((await manager.getState(id)).data).toEqual({ list: "new" });
  });

  test("where history forgot it, the copy knows which version and phase come back", async () => {
    const scope = `agent-${++count}`;
    const id = `${scope}-task`;
    await manager.updateState(id, "task", { n: 1 }, { scope });
    await manager.updateState(id, "task", { n: 2 }, { scope, phase: "ready" });
    await manager.updateState(id, "task", { n: 3 }, { scope, phase: "working" });
    await keep(scope, { states: [await copied(id, 2n)] });
    await tamper(
      `delete from agent_state.changes c using agent_state.states s
        where s.state_no = c.state_no and s.id = $1 and c.version < 3`,
      [id],
    );
    const done = await withCopies.rollback(scope);
    expect(done.states).toMatchObject([{ id, targetVersion: 2n, newVersion: 4n, phase: "ready" }]);
    expect(await manager.getState(id, { consistency: "strong" })).toMatchObject({
      phase: "ready",
      data: { n: 2 },
    });
  });

  test("that meets a write under way is refused with the plan, and leaves nothing", async () => {
    const { scope, id } = await scopeAt(2);
    const other = await bench.connect();
    await other.query("begin");
    await other.query("select agent_state_api.commit($1)", [
      JSON.stringify({ scope, changes: [{ id, type: "note", data: { n: 3 } }] }),
    ]);
    const refused = refusalOf(scope, { source: "history" });
    await until(isWaiting);
    await other.query("commit");
    const refusal = await refused;
    expect(refusal.code).toBe("STEP_CONFLICT");
    expect(refusal.facts.plan).toMatchObject({ undoneStep: "2" });
    expect((await manager.getState(id, { consistency: "strong" })).data).toEqual({ n: 3 });
  });

  test("is seen at once by the process that did it, and soon by all others", async () => {
    const { scope, id } = await scopeAt(2);
    const other = bench.openManager();
    expect((await other.getState(id)).version).toBe(2n);
    expect((await manager.getState(id)).version).toBe(2n);
    await manager.rollback(scope);
    expect((await manager.getState(id)).data).toEqual({ n: 1 });
    await until(async () => (await other.getState(id)).version === 3n);
  });

  test("whose answer is lost may have happened, and is not asked of memory", async () => {
    const { scope, id } = await scopeAt(2);
    const way = await proxied(bench.database);
    const cut = bench.openManager({ address: { url: way.url }, lanes: 1, pollMs: 600_000 });
    expect((await cut.getState(id)).version).toBe(2n);
    await cut.rollback(scope, { dryRun: true });
    const blocker = await bench.connect();
    await blocker.query("begin");
    await blocker.query(`select from agent_state.states where id = '${id}' for update`);
    const lost = cut.rollback(scope, { idempotencyKey: `${id}-back` });
    await until(isWaiting);
    way.proxy.freeze();
    await blocker.query("commit");
    await until(async () => (await manager.scope(scope)).step === 3n);
    way.proxy.cut();
    await expect(lost).rejects.toMatchObject({
      code: "UNAVAILABLE",
      facts: { mayHaveHappened: true },
    });
    way.proxy.thaw();
    expect((await cut.getState(id)).data).toEqual({ n: 1 });
    const again = await cut.rollback(scope, { idempotencyKey: `${id}-back` });
    expect(again).toMatchObject({ step: 3n, replayed: true });
    await cut.close();
    await way.close();
  });

  test("that its caller gives up on says whether it may have happened", async () => {
    const { scope, id } = await scopeAt(2);
    const blocker = await bench.connect();
    await blocker.query("begin");
    await blocker.query(`select from agent_state.states where id = '${id}' for update`);
    await expect(manager.rollback(scope, { timeoutMs: 300 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      facts: { mayHaveHappened: true },
    });
    await expect(manager.rollback(scope, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "CANCELED",
      facts: { mayHaveHappened: false },
    });
    await blocker.query("commit");
    await until(async () => (await manager.scope(scope)).step === 3n);
  });

  test("of a closed manager is refused", async () => {
    const { scope } = await scopeAt(2);
    const done = bench.openManager();
    await done.close();
    const refusal = { code: "UNAVAILABLE", facts: { mayHaveHappened: false } };
    await expect(done.rollback(scope)).rejects.toMatchObject(refusal);
    await expect(done.hold(scope)).rejects.toMatchObject(refusal);
  });

  test("puts a state in any phase that was not the end, and makes it again in any", async () => {
    const scope = `agent-${++count}`;
    const id = `${scope}-task`;
    const phases = ["submitted", "ready", "working", "suspended"];
    for (const phase of phases) await manager.updateState(id, "task", {}, { scope, phase });
    await manager.deleteState(id);
    await manager.rollback(scope, { toStep: 3n });
    expect(await manager.getState(id)).toMatchObject({ phase: "working", version: 6n });
    await manager.rollback(scope);
    expect(await manager.getState(id)).toMatchObject({ phase: "ready", version: 7n });
  });

  test("never takes a state that was made again into the end of the one before it", async () => {
    const scope = `agent-${++count}`;
    const id = `${scope}-task`;
    for (const phase of ["submitted", "ready", "working", "completed"]) {
      await manager.updateState(id, "task", {}, { scope, phase });
    }
    await manager.deleteState(id);
    await manager.updateState(id, "task", {}, { scope });
    const refusal = await refusalOf(scope, { toStep: 4n });
    expect(refusal).toMatchObject({ code: "ILLEGAL_TRANSITION" });
    expect(refusal.facts.plan).toMatchObject({ states: [{ id, action: "restore" }] });
  });

  test("of a thousand states takes less than a second, in a scope of many more", async () => {
    const scope = `agent-${++count}`;
    const write = (from: number, many: number, data: string) =>
      manager.commit({
        scope,
        changes: Array.from({ length: many }, (_, n) => ({
          op: "update",
          id: `${scope}-${from + n}`,
          type: "note",
          data: { data, text: "x".repeat(500) },
        })),
      });
    for (let part = 0; part < 3; part++) await write(part * 1_000, 1_000, "old");
    await write(0, 1_000, "new");
    const from = performance.now();
    const { states } = await manager.rollback(scope);
    const tookMs = performance.now() - from;
    expect(states).toHaveLength(1_000);
    expect((await manager.getState(`${scope}-999`)).data).toMatchObject({ data: "old" });
    expect(tookMs).toBeLessThan(10_000);
  });
});
