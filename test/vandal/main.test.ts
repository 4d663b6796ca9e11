import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CheckName } from "../../src/state/fsck.ts";
import { heldIn, named, Scene } from "./scene.ts";

let scene: Scene;

beforeAll(async () => (scene = await Scene.open()));
afterAll(() => scene.close());
beforeEach(() => scene.setUp());

interface Case {
  readonly what: string;
  readonly by: () => string;
  readonly checks: readonly CheckName[];
  /** repaired: it is as it was. repeated: so is its document, one step on. quarantined: nothing was touched. */
  readonly outcome: "repaired" | "repeated" | "quarantined";
}

const cases: readonly Case[] = [
  {
    what: "an edited head row",
    by: () =>
      `update agent_state.states set version = 9, step = 9 where state_no = ${scene.noOf("task")}`,
    checks: ["C3"],
    outcome: "repaired",
  },
  {
    what: "a forged phase in the row",
    by: () =>
      `update agent_state.states set phase = 'working' where state_no = ${scene.noOf("task")}`,
    checks: ["C3"],
    outcome: "repaired",
  },
  {
    what: "digests swapped between the rows of two states",
    by: () =>
      `update agent_state.states s set digest = o.digest from agent_state.states o
        where s.state_no in (${scene.noOf("task")}, ${scene.noOf("talk")}) and o.state_no in (${scene.noOf("task")}, ${scene.noOf("talk")}) and o.state_no <> s.state_no`,
    checks: ["C3"],
    outcome: "repaired",
  },
  {
    what: "a row that was moved to another scope",
    by: () =>
      `update agent_state.states set scope = 'elsewhere' where state_no = ${scene.noOf("talk")}`,
    checks: ["C3"],
    outcome: "repaired",
  },
  {
    what: "a digest edited in history",
    by: () =>
      `update agent_state.changes set digest = sha256('no') where state_no = ${scene.noOf("task")} and version = 2`,
    checks: ["C4", "C6"],
    outcome: "repaired",
  },
  {
    what: "an edited body in old history",
    by: () =>
      `update agent_state.changes set body = '{"goal":7}' where state_no = ${scene.noOf("task")} and version = 1`,
    checks: ["C4"],
    outcome: "repeated",
  },
  {
    what: "the newest body edited",
    by: () =>
      `update agent_state.changes set body = '{"a":{"/messages":["attack at dawn"]}}' where state_no = ${scene.noOf("talk")} and version = 3`,
    checks: ["C4"],
    outcome: "repeated",
  },
  {
    what: "a body that no longer applies",
    by: () =>
      `update agent_state.changes set body = '{"p":[{"op":"remove","path":"/none"}]}' where state_no = ${scene.noOf("talk")} and version = 3`,
    checks: ["C20", "C4"],
    outcome: "repeated",
  },
  {
    what: "a forged phase in history",
    by: () =>
      `update agent_state.changes set phase = 'failed' where state_no = ${scene.noOf("task")} and version = 2`,
    checks: ["C14", "C4"],
    outcome: "repeated",
  },
  {
    what: "a row of history deleted",
    by: () =>
      `delete from agent_state.changes where state_no = ${scene.noOf("talk")} and version = 2`,
    checks: ["C2"],
    outcome: "repeated",
  },
  {
    what: "the newest changes deleted",
    by: () =>
      `delete from agent_state.changes where state_no in (${scene.noOf("talk")}, ${scene.noOf("task")}) and version = 3`,
    checks: ["C2", "C6"],
    outcome: "repeated",
  },
  {
    what: "a step inserted by hand",
    by: () =>
      `insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, body)
       select feed_xid, scope_no, 7, state_no, 4, at, 0, 0, 'u', 'f', sha256('made up'), phase, '{"goal":"mine"}' from agent_state.changes
        where state_no = ${scene.noOf("task")} and version = 3`,
    checks: ["C3", "C4"],
    outcome: "quarantined",
  },
  {
    what: "a step inserted by hand with a digest that fits",
    by: () =>
      `insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, body)
       select c.feed_xid, c.scope_no, 7, c.state_no, 4, c.at, 0, 0, 'u', 'f',
              agent_state.digest_of(c.digest, s.namespace, s.id, s.type, 7, 4, 'u', 'f', c.phase, '{"goal":"mine"}'), c.phase, '{"goal":"mine"}'
         from agent_state.changes c join agent_state.states s using (state_no) where state_no = ${scene.noOf("task")} and c.version = 3`,
    checks: ["C3", "C4"],
    outcome: "quarantined",
  },
  {
    what: "a copy of a change of another scope",
    by: () =>
      `insert into agent_state.changes
       select feed_xid, scope_no, step, ${scene.noOf("task")}, 4, at, 99, writer, kind, stored, digest, phase, actor, cause, idempotency_key, body
         from agent_state.changes where state_no = (select state_no from agent_state.states where id = 'other-${scene.scope}')`,
    checks: ["C1", "C2", "C3", "C4"],
    outcome: "quarantined",
  },
];

describe.each([
  ["that the triggers notice", false],
  ["behind the back of the triggers", true],
] as const)("vandalism %s", (_name, isSly) => {
  test.each(cases)("$what is found, held, and $outcome", async ({ what, by, checks, outcome }) => {
    const before = await scene.rows();
    await scene.vandalize(by(), isSly);
    const damaged = await scene.rows().catch(() => "damaged");
    const found = await scene.look();
    const expected =
      isSly && what.endsWith("a digest that fits") ? checks.filter((c) => c !== "C4") : checks;
    expect(named(found)).toEqual(expected.toSorted());
    expect(await scene.isHeld()).toBe(true);
    await expect(
      scene.manager.mergeState(`${scene.scope}.task`, { goal: 4 }),
    ).rejects.toMatchObject({
      code: "SCOPE_ON_HOLD",
    });

    const plan = await scene.look({ plan: true });
    expect(await scene.rows().catch(() => "damaged"), "a plan touches nothing").toEqual(damaged);
    const fixed = await scene.look({ fix: "safe" });
    const evidence = await scene.bench.sql(
      "select evidence from agent_state.findings where finding_no = any ($1)",
      [found.map(({ no }) => no.toString())],
    );
    for (const { evidence: rows } of evidence) {
      expect(Object.keys(rows as object).some((row) => row === "change" || row === "copy")).toBe(
        true,
      );
    }

    if (outcome === "quarantined") {
      expect(fixed.every(({ resolvedAt }) => resolvedAt === null)).toBe(true);
      const [held] = await scene.bench.sql(
        "select count(*)::integer as n from agent_state.quarantine",
      );
      expect(held!["n"]).toBeGreaterThan(0);
      expect(await scene.isHeld()).toBe(true);
      expect(await scene.rows().catch(() => "damaged")).toEqual(damaged);
      return;
    }
    expect(plan.some(({ safe }) => safe === true)).toBe(true);
    expect(fixed.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
    expect(named(await scene.look())).toEqual([]);
    expect(await scene.isHeld()).toBe(false);
    const after = await scene.rows();
    if (outcome === "repaired") return expect(after).toEqual(before);
    expect(heldIn(after)).toEqual(heldIn(before));
    // History as it was committed, and the same document once more for those who had read the wrong one.
    await scene.manager.mergeState(`${scene.scope}.task`, { goal: 5 });
    expect((await scene.manager.getState(`${scene.scope}.task`)).data).toEqual({ goal: 5 });
  });
});
