import { afterAll, beforeAll, expect, test } from "vitest";
import { LIFECYCLES, mayCreateAs, mayMove } from "../../src/state/lifecycle.ts";
import type { PreparedUnit, StateStore } from "../../src/state/ports.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

interface Move {
  readonly type: string;
  readonly from: string | null;
  readonly to: string;
}

/** Every cell of every table, and every phase at creation. */
const moves: Move[] = Object.entries(LIFECYCLES).flatMap(([type, { phases }]) =>
  [null, ...phases].flatMap((from) => phases.map((to) => ({ type, from, to }))),
);

const idOf = ({ type, from, to }: Move): string => `${type}-${from ?? "new"}-${to}`;

describeOnPostgres("a phase", (home) => {
  let bench: Bench;
  let store: StateStore;
  let placed = 0;

  beforeAll(async () => {
    bench = await openBench(home);
    store = bench.openStore();
  });

  afterAll(() => bench.close());

  /** A state for each move, put in its phase past all rules. */
  async function place(namespace: string, all: readonly Move[]): Promise<void> {
    const old = all.filter(({ from }) => from !== null);
    const client = await bench.connect();
    await client.query("set session_replication_role = replica"); // triggers sleep
    await client.query(
      `with placed as (
         insert into agent_state.states (scope_no, version, step, base_version, created_at, updated_at, deleted, namespace, id, type, phase, digest)
         select $5::int * 1000000 + n, 1, 1, 1, now(), now(), false, $1, id, type, phase, 'x'
           from unnest($2::text[], $3::text[], $4::text[]) with ordinality i(id, type, phase, n) returning *)
       insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, body)
       select '3', scope_no, 1, state_no, 1, now(), 0, 0, 'u', 'f', digest, phase, '{}' from placed`,
      [
        namespace,
        old.map(idOf),
        old.map(({ type }) => type),
        old.map(({ from }) => from),
        ++placed,
      ],
    );
    await client.end();
  }

  test("moves through commit as the table says, cell by cell; what is confused stays so", async () => {
    await place("commit", moves);
    const answers = await store.commitBatch(
      0,
      moves.map((move) => commitOf("commit", move)),
      true,
    );
    const codes = answers.map(([row]) => row!.code);
    const meant = moves.map(({ type, from, to }) => {
      const isLegal = from === null ? mayCreateAs(type, to) : mayMove(type, from, to, "change");
      return isLegal ? null : "ILLEGAL_TRANSITION";
    });
    expect(labelled(codes)).toEqual(labelled(meant));
    expect(codes).toContain(null);
    const phases = await bench.sql<{ id: string; phase: string }>(
      "select id, phase from agent_state.states where namespace = 'commit' order by id",
    );
    const left = moves.filter(
      (_move, index) => meant[index] === null || moves[index]!.from !== null,
    );
    const expected = left.map((move) => ({
      id: idOf(move),
      phase: meant[moves.indexOf(move)] === null ? move.to : move.from,
    }));
    expect(phases).toEqual(expected.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
  });

  test.each([
    ["change", "moves by hand only where the table says: the owner's SQL is refused as well"],
    ["repair", "moves back as a repair may where a function that goes back says so"],
  ] as const)("(%s) %s", async (via, _does) => {
    const namespace = `hand-${via}`;
    await place(namespace, moves);
    // Each move in a block of its own, so that one refusal leaves the others alone.
    await bench.sql(`create or replace function try_by_hand(p_id text, p_type text, p_to text, p_new boolean) returns text language plpgsql as $$
      begin
        perform set_config('agent_state.repair', '${via === "repair" ? "on" : ""}', true);
        if p_new then
          insert into agent_state.states (scope_no, version, step, base_version, created_at, updated_at, deleted, namespace, id, type, phase, digest)
          values (1, 1, 1, 1, now(), now(), false, '${namespace}', p_id, p_type, p_to, 'x');
        else
          update agent_state.states set phase = p_to where namespace = '${namespace}' and id = p_id;
        end if;
        return null;
      exception when sqlstate 'PT422' then return sqlerrm;
      end $$`);
    const rows = await bench.sql<{ code: string | null }>(
      `select try_by_hand(id, type, phase, is_new) as code
         from unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) with ordinality i(id, type, phase, is_new, n) order by n`,
      [
        moves.map(idOf),
        moves.map(({ type }) => type),
        moves.map(({ to }) => to),
        moves.map(({ from }) => from === null),
      ],
    );
    const meant = moves.map(({ type, from, to }) => {
      const isNew = from === null;
      const isLegal = isNew
        ? via === "repair" || mayCreateAs(type, to)
        : mayMove(type, from, to, via);
      return isLegal ? null : "ILLEGAL_TRANSITION";
    });
    expect(labelled(rows.map(({ code }) => code))).toEqual(labelled(meant));
  });

  test.each(["change", "repair"] as const)(
    "(%s) moves through the functions of tasks as by hand, though there no trigger looks",
    async (via) => {
      const namespace = `tasks-${via}`;
      const ofTasks = moves.filter(
        ({ type, from, to }) => type === "task" && from !== null && from !== to,
      );
      await place(namespace, ofTasks);
      await bench.sql(`create or replace function try_as_task(p_id text, p_to text) returns text language plpgsql as $$
        begin
          perform set_config('agent_state.repair', '${via === "repair" ? "on" : ""}', true);
          perform agent_state.write_tasks(array[s.state_no], array[p_to], array['{"m":{}}'::json], array['moved'], null)
             from agent_state.states s where s.namespace = '${namespace}' and s.id = p_id;
          return null;
        exception when sqlstate 'PT422' then return sqlerrm;
        end $$`);
      const rows = await bench.sql<{ code: string | null }>(
        "select try_as_task(id, phase) as code from unnest($1::text[], $2::text[]) with ordinality i(id, phase, n) order by n",
        [ofTasks.map(idOf), ofTasks.map(({ to }) => to)],
      );
      const meant = ofTasks.map(({ type, from, to }) =>
        mayMove(type, from, to, via) ? "goes" : "ILLEGAL_TRANSITION",
      );
      expect(rows.map(({ code }) => code ?? "goes")).toEqual(meant);
    },
  );

  test.each([
    ["to none", "update agent_state.states set phase = null where namespace = 'by' and id = $1"],
    [
      "to an unknown one",
      "update agent_state.states set phase = 'done' where namespace = 'by' and id = $1",
    ],
    [
      "out of the grave",
      "update agent_state.states set deleted = false where namespace = 'by' and id = $1",
    ],
    [
      "to another type",
      "update agent_state.states set type = 'note' where namespace = 'by' and id = $1",
    ],
    [
      "with another type",
      "update agent_state.states set type = 'agent', phase = 'idle' where namespace = 'by' and id = $1",
    ],
  ])("does not move by hand %s", async (name, statement) => {
    const move = { type: "task", from: "working", to: name };
    await place("by", [move]);
    const client = await bench.connect();
    if (name === "out of the grave") {
      await client.query("set session_replication_role = replica");
      await client.query(
        "update agent_state.states set deleted = true where namespace = 'by' and id = $1",
        [idOf(move)],
      );
      await client.query("set session_replication_role = origin");
    }
    await expect(client.query(statement, [idOf(move)])).rejects.toMatchObject({
      code: "PT422",
      message: "ILLEGAL_TRANSITION",
    });
  });

  test("starts anew, in its first one, where the state was deleted", async () => {
    const id = "again";
    const at = (op: "update" | "delete", phase: string | null): PreparedUnit => {
      const unit = commitOf("commit", { type: "task", from: null, to: "x" });
      const [change] = unit.changes;
      return {
        ...unit,
        changes: [
          { ...change!, id, op, phase, ...(op === "delete" ? { type: null, body: null } : {}) },
        ],
      };
    };
    const units = [
      at("update", null),
      at("update", "failed"),
      at("delete", null),
      at("update", "working"),
      at("update", null),
    ];
    const answers = await store.commitBatch(0, units, true);
    expect(answers.map(([row]) => [row!.code, row!.phase])).toEqual([
      [null, "submitted"],
      [null, "failed"],
      [null, "failed"],
      ["ILLEGAL_TRANSITION", null],
      [null, "submitted"],
    ]);
  });

  test("is nothing that a type without a lifecycle has", async () => {
    const unit = commitOf("none", { type: "note", from: null, to: "ready" });
    const [[row] = []] = await store.commitBatch(0, [unit], true);
    expect(row?.code).toBe("INVALID_PHASE");
  });
});

function labelled(codes: readonly (string | null)[]): string[] {
  return codes.map((code, index) => `${idOf(moves[index]!)}: ${code ?? "goes"}`);
}

function commitOf(namespace: string, move: Move): PreparedUnit {
  return {
    namespace,
    scope: null,
    changes: [
      {
        op: "update",
        id: idOf(move),
        type: move.type,
        body: "{}",
        phase: move.to,
        expectedVersion: null,
        basedOn: null,
        expiresAt: null,
      },
    ],
    expectedStep: null,
    actor: null,
    cause: null,
    idempotencyKey: null,
  };
}
