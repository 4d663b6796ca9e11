import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { ChangeRequest } from "../../src/state/request.ts";
import { lifecycleOf, mayCreateAs, mayMove } from "../../src/state/lifecycle.ts";
import { proveOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { auditDatabase } from "./audit.ts";
import { RollbackModel } from "./rollback-model.ts";
import type { ModelState, Way } from "./rollback-model.ts";

const numRuns = proofLength({ short: 80, full: 600 });

const NOTES = ["a", "b", "c"] as const;
const TASKS = ["t", "u"] as const;
const PHASES = ["submitted", "ready", "working", "suspended", "failed", "failed"] as const;

type Act =
  | { readonly do: "commit"; readonly edits: readonly Edit[] }
  | { readonly do: "back"; readonly to: number | null; readonly dryRun: boolean }
  | { readonly do: "hold" | "release" };

interface Edit {
  readonly id: string;
  /** `grow` is kept as a delta. */
  readonly how: "set" | "grow" | "delete";
  readonly data: number;
  readonly phase: string;
}

const edit = fc.record<Edit>({
  id: fc.constantFrom(...NOTES, ...TASKS),
  how: fc.constantFrom("set", "set", "grow", "delete"),
  data: fc.nat(99),
  phase: fc.constantFrom(...PHASES),
});

const commits: fc.Arbitrary<Act> = fc.record({
  do: fc.constant("commit" as const),
  edits: fc.uniqueArray(edit, { selector: ({ id }) => id, minLength: 1, maxLength: 4 }),
});
const backs: fc.Arbitrary<Act> = fc.record({
  do: fc.constant("back" as const),
  to: fc.oneof(fc.constant(null), fc.nat(12)),
  dryRun: fc.constantFrom(true, false, false),
});
const gates: fc.Arbitrary<Act> = fc.record({
  do: fc.constantFrom("hold" as const, "release" as const, "release" as const),
});
const acts = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: commits },
    { weight: 5, arbitrary: backs },
    { weight: 1, arbitrary: gates },
  ),
  { minLength: 4, maxLength: 24, size: "max" },
);

proveOnPostgres("a scope that goes forth and back is what the model says", (home) => {
  let bench: Bench;
  let manager: StateManager;
  let count = 0;
  const met = new Map<string, number>();
  const meet = (fate: string): void => void met.set(fate, (met.get(fate) ?? 0) + 1);

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager();
  });

  afterAll(() => bench.close());

  async function play(each: readonly Act[]): Promise<void> {
    const run = new Run(manager, `run${++count}`);
    let log = new Map<string, string>();
    for (const one of each) {
      meet(await run.play(one));
      log = await checkLog(run.namespace, log);
    }
    await run.compare();
    if (run.model.head > 0) await auditDatabase(bench, run.namespace);
  }

  /** History only grows: what was there before is there still, to the letter. */
  async function checkLog(
    namespace: string,
    before: ReadonlyMap<string, string>,
  ): Promise<Map<string, string>> {
    const rows = await bench.sql<{ name: string; change: string }>(
      `select s.id || '@' || c.version as name, to_jsonb(c)::text as change
         from agent_state.changes c join agent_state.states s using (state_no) where s.namespace = $1`,
      [namespace],
    );
    const now = new Map(rows.map(({ name, change }) => [name, change]));
    for (const [name, change] of before) expect(now.get(name), name).toBe(change);
    return now;
  }

  test("whatever is committed, deleted, rolled back and held, in whatever order", async () => {
    await fc.assert(fc.asyncProperty(acts, play), { numRuns });
  }, 600_000);

  test("and the random acts meet every fate", () => {
    expect([...met.keys()].toSorted()).toEqual(
      [
        "NO_EARLIER_STEP",
        "SCOPE_NOT_FOUND",
        "SCOPE_ON_HOLD",
        "STEP_NOT_FOUND",
        "STEP_QUARANTINED",
        "TERMINAL_PUBLISHED",
        "committed",
        "held",
        "nothing",
        "planned",
        "released",
        "went back",
      ].toSorted(),
    );
    expect(met.get("went back")).toBeGreaterThan(numRuns);
  });
});

/** One scope that both the manager and the model have. */
class Run {
  readonly model = new RollbackModel();
  readonly namespace: string;
  readonly #manager: StateManager;

  constructor(manager: StateManager, namespace: string) {
    this.#manager = manager;
    this.namespace = namespace;
  }

  /** Does one thing in both; what became of it. */
  async play(act: Act): Promise<string> {
    const { namespace, model } = this;
    switch (act.do) {
      case "commit":
        return await this.#commit(act.edits);
      case "back":
        return await this.#back(act.to, act.dryRun);
      case "hold":
      case "release":
        break;
    }
    const isThere = model.head > 0;
    const fate = await fateOf(this.#manager[act.do]("s", { namespace }));
    if (isThere) model.held = act.do === "hold";
    expect(fate).toBe(isThere ? null : "SCOPE_NOT_FOUND");
    return fate ?? (model.held ? "held" : "released");
  }

  async #commit(edits: readonly Edit[]): Promise<string> {
    const { namespace, model } = this;
    const meant = new Map<string, ModelState | null>();
    const changes: ChangeRequest[] = [];
    for (const one of edits) {
      const change = changeOf(one, model.content.get(one.id));
      if (change === null) continue;
      meant.set(one.id, change.result);
      changes.push(change.request);
    }
    if (changes.length === 0) return "nothing";
    const fate = await fateOf(this.#manager.commit({ namespace, scope: "s", changes }));
    expect(fate).toBe(model.held ? "SCOPE_ON_HOLD" : null);
    if (fate === null) model.commit(meant);
    return fate ?? "committed";
  }

  async #back(to: number | null, dryRun: boolean): Promise<string> {
    const { namespace, model } = this;
    const way: Way = model.head === 0 ? { refused: "SCOPE_NOT_FOUND" } : model.wayBack(to);
    const options = { namespace, dryRun, ...(to === null ? {} : { toStep: BigInt(to) }) };
    const call = this.#manager.rollback("s", options);
    if ("refused" in way) {
      expect(await fateOf(call)).toBe(way.refused);
      return way.refused;
    }
    const { restoredStep } = way;
    const head = model.head;
    const touched = model.touched(restoredStep).toSorted();
    const done = await call;
    expect(done).toMatchObject({ dryRun, step: BigInt(head + 1), undoneStep: BigInt(head) });
    expect(done.restoredStep).toBe(BigInt(restoredStep));
    expect(done.states.map(({ id }) => id)).toEqual(touched);
    const before = new Set(model.quarantined);
    if (dryRun) return "planned";
    model.goBack(restoredStep);
    const fresh = [...model.quarantined].filter((step) => !before.has(step));
    expect(done.quarantined.map(Number)).toEqual(fresh);
    return "went back";
  }

  /** The scope as it is, and as it was at each step; its quarantine; every version. */
  async compare(): Promise<void> {
    const { namespace, model } = this;
    if (model.head === 0) return;
    const status = await this.#manager.scope("s", { namespace });
    expect(status).toMatchObject({ step: BigInt(model.head), hold: model.held });
    expect(status.quarantined.map(Number)).toEqual([...model.quarantined].toSorted(ascending));
    for (let step = 1; step <= model.head; step++) {
      const { items } = await this.#manager.scopeStates("s", { namespace, step: BigInt(step) });
      const found = items.map(({ id, data, phase }) => [id, { data: sizeOf(data), phase }]);
      expect(found, `step ${step}`).toEqual([...model.contents[step]!].toSorted(byId));
    }
    for (const [id, version] of model.versions) {
      const { items } = await this.#manager.history(id, { namespace });
      const versions = items.map((item) => Number(item.version));
      expect(versions, id).toEqual(Array.from({ length: version }, (_, n) => version - n));
      if (!model.content.has(id)) continue;
      const state = await this.#manager.getState(id, { namespace });
      expect(state.version, id).toBe(BigInt(version));
      expect({ data: sizeOf(state.data), phase: state.phase }).toEqual(model.content.get(id));
    }
  }
}

/** The change that an edit is, and what it makes of the state; null where it would be refused. */
function changeOf(
  { id, how, data, phase }: Edit,
  was: ModelState | undefined,
): { readonly request: ChangeRequest; readonly result: ModelState | null } | null {
  const type = TASKS.some((task) => task === id) ? "task" : "note";
  if (how === "delete") {
    return was === undefined ? null : { request: { op: "delete", id }, result: null };
  }
  if (how === "grow") {
    if (was === undefined) return null;
    const request = { op: "append", id, path: "/list", items: [1] } as const;
    return { request, result: { ...was, data: was.data + 1 } };
  }
  const list = Array.from({ length: data }, () => 1);
  const request = { op: "update", id, type, data: { list } } as const;
  if (lifecycleOf(type) === null) return { request, result: { data, phase: null } };
  const from = was?.phase ?? null;
  const isLegal =
    was === undefined ? mayCreateAs(type, phase) : mayMove(type, from, phase, "change");
  const result = { data, phase: isLegal ? phase : (from ?? "submitted") };
  return { request: isLegal ? { ...request, phase } : request, result };
}

/** Documents are lists; the model knows how long each is. */
function sizeOf(data: unknown): number {
  return (data as { readonly list: readonly unknown[] }).list.length;
}

async function fateOf(call: Promise<unknown>): Promise<string | null> {
  try {
    await call;
    return null;
  } catch (error) {
    if (error instanceof AgentRuntimeError) return error.code;
    throw error;
  }
}

function ascending(a: number, b: number): number {
  return a - b;
}

function byId([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
