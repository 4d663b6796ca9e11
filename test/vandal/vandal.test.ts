import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { CheckName, Finding } from "../../src/state/fsck.ts";
import { testHomes } from "../support/homes.ts";
import type { Bench } from "../support/manager.ts";
import { proofLength } from "../support/length.ts";
import { HandFollower, openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";
import { until } from "../support/until.ts";

const home = testHomes().find(({ available }) => available === true)!;

let bench: Bench;
let pair: Pair;
let follower: HandFollower;
/** Looks only when it is asked to; knows the rollback copy. */
let manager: StateManager;
let count = 0;
let scope: string;

beforeAll(async () => {
  pair = await openPair(home);
  ({ bench } = pair);
  follower = await HandFollower.begin(pair);
  manager = bench.openManager({ fsck: { sweepMs: 0, statesPerSecond: 0, rollback: pair.copies } });
});
afterAll(() => pair.close());

/** A scope of two states: a task with phases, and a conversation that is kept as deltas. */
const setUp = async (): Promise<void> => {
  scope = `run-${++count}`;
  const [task, talk] = [`${scope}.task`, `${scope}.talk`];
  await manager.updateState(task, "task", { goal: 1 }, { scope });
  await manager.updateState(talk, "note", { messages: ["hello"] }, { scope });
  await manager.mergeState(task, { goal: 2 }, { phase: "ready" });
  await manager.appendState(talk, "/messages", ["and"]);
  await manager.appendState(talk, "/messages", ["good bye"]);
  await manager.mergeState(task, { goal: 3 });
  await manager.updateState(`other-${scope}`, "task", { goal: "theirs" });
  await follower.drain();
};
beforeEach(setUp);

const noOf = (id: string): string =>
  `(select state_no from agent_state.states where id = '${scope}.${id}')`;

/** What is done by hand; `sly`: with no trigger that could tell. */
async function vandalize(statement: string, isSly = false): Promise<void> {
  const client = await bench.connect();
  if (isSly) await client.query("set session_replication_role = replica");
  await client.query(statement);
}

async function look(options: { fix?: "safe"; plan?: boolean } = {}): Promise<readonly Finding[]> {
  const { checks, findings } = await manager.fsck({ scope, ...options });
  const missed = checks.filter(({ status }) => status === "could not run");
  expect(missed).toEqual([{ check: "C5", status: "could not run", reason: "there is no replica" }]);
  return findings;
}

function named(findings: readonly Finding[]): string[] {
  return [...new Set(findings.map(({ check }) => check))].toSorted();
}

async function documents(): Promise<unknown> {
  return bench.sql(
    `select id, phase, step, version, digest, agent_state.document(state_no, version)::text as data from agent_state.states
      where id like $1 order by id`,
    [`${scope}.%`],
  );
}

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
      `update agent_state.states set version = 9, step = 9 where state_no = ${noOf("task")}`,
    checks: ["C3"],
    outcome: "repaired",
  },
  {
    what: "a forged phase in the row",
    by: () => `update agent_state.states set phase = 'working' where state_no = ${noOf("task")}`,
    checks: ["C3"],
    outcome: "repaired",
  },
  {
    what: "digests swapped between the rows of two states",
    by: () =>
      `update agent_state.states s set digest = o.digest from agent_state.states o
        where s.state_no in (${noOf("task")}, ${noOf("talk")}) and o.state_no in (${noOf("task")}, ${noOf("talk")}) and o.state_no <> s.state_no`,
    checks: ["C3"],
    outcome: "repaired",
  },
  {
    what: "a row that was moved to another scope",
    by: () => `update agent_state.states set scope = 'elsewhere' where state_no = ${noOf("talk")}`,
    checks: ["C3"],
    outcome: "repaired",
  },
  {
    what: "a digest edited in history",
    by: () =>
      `update agent_state.changes set digest = sha256('no') where state_no = ${noOf("task")} and version = 2`,
    checks: ["C4", "C6"],
    outcome: "repaired",
  },
  {
    what: "an edited body in old history",
    by: () =>
      `update agent_state.changes set body = '{"goal":7}' where state_no = ${noOf("task")} and version = 1`,
    checks: ["C4"],
    outcome: "repeated",
  },
  {
    what: "the newest body edited",
    by: () =>
      `update agent_state.changes set body = '{"a":{"/messages":["attack at dawn"]}}' where state_no = ${noOf("talk")} and version = 3`,
    checks: ["C4"],
    outcome: "repeated",
  },
  {
    what: "a body that no longer applies",
    by: () =>
      `update agent_state.changes set body = '{"p":[{"op":"remove","path":"/none"}]}' where state_no = ${noOf("talk")} and version = 3`,
    checks: ["C20", "C4"],
    outcome: "repeated",
  },
  {
    what: "a forged phase in history",
    by: () =>
      `update agent_state.changes set phase = 'failed' where state_no = ${noOf("task")} and version = 2`,
    checks: ["C14", "C4"],
    outcome: "repeated",
  },
  {
    what: "a row of history deleted",
    by: () => `delete from agent_state.changes where state_no = ${noOf("talk")} and version = 2`,
    checks: ["C2"],
    outcome: "repeated",
  },
  {
    what: "the newest changes deleted",
    by: () =>
      `delete from agent_state.changes where state_no in (${noOf("talk")}, ${noOf("task")}) and version = 3`,
    checks: ["C2", "C6"],
    outcome: "repeated",
  },
  {
    what: "a step inserted by hand",
    by: () =>
      `insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, body)
       select feed_xid, scope_no, 7, state_no, 4, at, 0, 0, 'u', 'f', sha256('made up'), phase, '{"goal":"mine"}' from agent_state.changes
        where state_no = ${noOf("task")} and version = 3`,
    checks: ["C3", "C4"],
    outcome: "quarantined",
  },
  {
    what: "a step inserted by hand with a digest that fits",
    by: () =>
      `insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, body)
       select c.feed_xid, c.scope_no, 7, c.state_no, 4, c.at, 0, 0, 'u', 'f',
              agent_state.digest_of(c.digest, s.namespace, s.id, s.type, 7, 4, 'u', 'f', c.phase, '{"goal":"mine"}'), c.phase, '{"goal":"mine"}'
         from agent_state.changes c join agent_state.states s using (state_no) where state_no = ${noOf("task")} and c.version = 3`,
    checks: ["C3", "C4"],
    outcome: "quarantined",
  },
  {
    what: "a copy of a change of another scope",
    by: () =>
      `insert into agent_state.changes
       select feed_xid, scope_no, step, ${noOf("task")}, 4, at, 99, writer, kind, stored, digest, phase, actor, cause, idempotency_key, body
         from agent_state.changes where state_no = (select state_no from agent_state.states where id = 'other-${scope}')`,
    checks: ["C1", "C2", "C3", "C4"],
    outcome: "quarantined",
  },
];

describe.each([
  ["that the triggers notice", false],
  ["behind the back of the triggers", true],
] as const)("vandalism %s", (_name, isSly) => {
  test.each(cases)("$what is found, held, and $outcome", async ({ what, by, checks, outcome }) => {
    const before = await documents();
    await vandalize(by(), isSly);
    const damaged = await documents().catch(() => "damaged");
    const found = await look();
    const expected =
      isSly && what.endsWith("a digest that fits") ? checks.filter((c) => c !== "C4") : checks;
    expect(named(found)).toEqual(expected.toSorted());
    expect((await manager.scope(scope)).hold).toBe(true);
    await expect(manager.mergeState(`${scope}.task`, { goal: 4 })).rejects.toMatchObject({
      code: "SCOPE_ON_HOLD",
    });

    const plan = await look({ plan: true });
    expect(await documents().catch(() => "damaged"), "a plan touches nothing").toEqual(damaged);
    const fixed = await look({ fix: "safe" });
    const evidence = await bench.sql(
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
      const [held] = await bench.sql("select count(*)::integer as n from agent_state.quarantine");
      expect(held!["n"]).toBeGreaterThan(0);
      expect((await manager.scope(scope)).hold).toBe(true);
      expect(await documents().catch(() => "damaged")).toEqual(damaged);
      return;
    }
    expect(plan.some(({ safe }) => safe === true)).toBe(true);
    expect(fixed.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
    expect(named(await look())).toEqual([]);
    expect((await manager.scope(scope)).hold).toBe(false);
    const after = await documents();
    if (outcome === "repaired") return expect(after).toEqual(before);
    expect(dataOf(after)).toEqual(dataOf(before));
    // History as it was committed, and the same document once more for those who had read the wrong one.
    await manager.mergeState(`${scope}.task`, { goal: 5 });
    expect((await manager.getState(`${scope}.task`)).data).toEqual({ goal: 5 });
  });
});

function dataOf(rows: unknown): unknown {
  return (rows as { id: string; data: string; phase: string | null }[]).map(
    ({ id, data, phase }) => ({ id, data: JSON.parse(data) as unknown, phase }),
  );
}

test("a vandalized rollback copy is found and made anew; main is not held for it", async () => {
  await pair.rollback.sql(
    `update agent_state.changes set digest = sha256('no') where version = 2
        and state_no = (select state_no from agent_state.states where id = $1)`,
    [`${scope}.talk`],
  );
  await pair.rollback.sql(
    "update agent_state.scopes set pending_step = 99, promoted_step = 98 where scope = $1",
    [scope],
  );
  const found = await look();
  // What follows from a digest that was forged proves nothing either.
  expect([...new Set(found.map(({ check }) => check))]).toEqual(["C6"]);
  expect((await manager.scope(scope)).hold).toBe(false);
  const fixed = await look({ fix: "safe" });
  expect(fixed.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  await follower.rebuild();
  expect(await pair.copies.standing({ namespace: "default", scope })).toMatchObject({
    broken: null,
    pendingStep: 6n,
    promotedStep: 5n,
  });
  expect(await look()).toEqual([]);
});

test("what was put right by hand is settled, and nothing else is done about it", async () => {
  const forge = (phase: string): Promise<void> =>
    vandalize(
      `update agent_state.states set phase = '${phase}' where state_no = ${noOf("task")}`,
      true,
    );
  await forge("working");
  expect(named(await look())).toEqual(["C3"]);
  await forge("ready");
  const plan = await look({ plan: true });
  expect(plan.map(({ safe, remedy }) => [safe, remedy])).toEqual([[true, "no longer there"]]);
  const fixed = await look({ fix: "safe" });
  expect(fixed.map(({ resolution }) => resolution)).toEqual(["no longer there"]);
  expect(await manager.scope(scope)).toMatchObject({ hold: false, quarantined: [] });
});

test("a history that was made up with all its digests is one word against the copy's: held until somebody decides", async () => {
  const before = await documents();
  await rechain("talk", `{"messages":["bye"]}`);
  const damaged = await documents();
  expect(damaged).not.toEqual(before);
  const found = await look();
  // What this process remembers speaks against main too, but it is main's word of before.
  expect(named(found)).toEqual(["C6", "C7"]);
  expect((await manager.scope(scope)).hold).toBe(true);
  const fixed = (await look({ fix: "safe" })).filter(({ check }) => check === "C6");
  expect(fixed.every(({ safe, resolvedAt }) => safe === false && resolvedAt === null)).toBe(true);
  expect((await manager.scope(scope)).quarantined).not.toEqual([]);
  expect(await documents(), "none is believed").toEqual(damaged);

  // Who releases it has decided for main.
  await manager.release(scope);
  await look();
  expect((await manager.scope(scope)).hold, "a finding that was seen holds nobody again").toBe(
    false,
  );
  const decided = await look({ fix: "safe" });
  expect(decided.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  await follower.rebuild();
  expect(await look()).toEqual([]);
});

/** Makes another first document of a state, and all digests after it fit. */
async function rechain(id: string, body: string): Promise<void> {
  const rows = await bench.sql<{ version: string }>(
    `select version from agent_state.changes where state_no = ${noOf(id)} order by version`,
  );
  for (const { version } of rows) {
    const text = version === "1" ? `'${body}'::json` : "c.body";
    await vandalize(
      `update agent_state.changes c set body = ${text}, digest = agent_state.digest_of(
           coalesce((select b.digest from agent_state.changes b where b.state_no = c.state_no and b.version = c.version - 1), ''),
           s.namespace, s.id, s.type, c.step, c.version, 'u', c.stored::text, c.phase, ${text})
         from agent_state.states s where s.state_no = c.state_no and c.state_no = ${noOf(id)} and c.version = ${version}`,
      true,
    );
  }
  await vandalize(
    `update agent_state.states s set digest = c.digest from agent_state.changes c
      where c.state_no = s.state_no and c.version = s.version and s.state_no = ${noOf(id)}`,
    true,
  );
}

test("a state in memory that was read from a forged row is dropped", async () => {
  const id = `${scope}.task`;
  const forge = (phase: string): Promise<void> =>
    vandalize(`update agent_state.states set phase = '${phase}' where id = '${id}'`, true);
  await forge("working");
  const reader = bench.openManager();
  expect((await reader.getState(id)).phase).toBe("working");
  await forge("ready");
  expect((await reader.getState(id)).phase, "as it was read").toBe("working");
  const { findings } = await reader.fsck({ scope });
  expect(findings.map(({ check, id: of }) => [check, of])).toEqual([["C7", id]]);
  expect((await reader.scope(scope)).hold).toBe(false);
  const fixed = await reader.fsck({ scope, fix: "safe" });
  expect(fixed.findings.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  expect((await reader.getState(id)).phase).toBe("ready");
});

test("a copy of another scope's change, a missing copy and a suspect one are found and made anew", async () => {
  const key = { namespace: "default", scope };
  await pair.rollback.sql(
    `update agent_state.changes c set body = o.body, digest = o.digest, before = o.before
       from agent_state.changes o join agent_state.states x on x.state_no = o.state_no and x.id = $2 and o.version = 1
      where c.version = 3 and c.state_no = (select state_no from agent_state.states where id = $1)`,
    [`${scope}.talk`, `other-${scope}`],
  );
  expect(named(await look())).toEqual(["C6"]);
  await pair.rollback.sql("update agent_state.scopes set broken = 'they differ' where scope = $1", [
    scope,
  ]);
  expect(named(await look({ fix: "safe" }))).toEqual(["C6"]);
  await follower.rebuild();
  expect(await pair.copies.standing(key)).toMatchObject({ broken: null, promotedStep: 5n });

  await pair.rollback.sql("update agent_state.scopes set broken = 'they differ' where scope = $1", [
    scope,
  ]);
  const [suspect] = await look();
  expect(suspect!.detail).toBe("it is not served: they differ");
  expect((await look({ fix: "safe" }))[0]!.resolvedAt).not.toBeNull();
  await follower.rebuild();
  expect(await look()).toEqual([]);

  await pair.rollback.sql(
    `with gone as (delete from agent_state.scopes where scope = $1 returning scope_no),
       changes as (delete from agent_state.changes c using gone where c.scope_no = gone.scope_no)
     delete from agent_state.states s using gone where s.scope_no = gone.scope_no`,
    [scope],
  );
  expect(await look(), "the follower may be on its way").toEqual([]);
  await vandalize(
    `update agent_state.changes set at = at - interval '1 hour' where state_no in (${noOf("task")}, ${noOf("talk")})`,
    true,
  );
  const [missing] = await look();
  expect(missing!.detail).toBe("there is no copy of it");
  expect((await look({ fix: "safe" }))[0]!.resolvedAt).not.toBeNull();
  await follower.rebuild();
  expect(await pair.copies.standing(key)).toMatchObject({ broken: null, promotedStep: 5n });
});

/** One thing done by hand to one of the scope's changes or rows, whatever it is. */
const touches = fc.record({
  id: fc.constantFrom("task", "talk"),
  version: fc.integer({ min: 1, max: 3 }),
  how: fc.constantFrom(
    `update agent_state.changes set body = '{"goal":"vandal"}' where state_no = $no and version = $v`,
    `update agent_state.changes set digest = sha256('vandal') where state_no = $no and version = $v`,
    `update agent_state.changes set step = step + 50 where state_no = $no and version = $v`,
    `update agent_state.changes set phase = 'completed' where state_no = $no and version = $v`,
    `update agent_state.changes set version = version + 7 where state_no = $no and version = $v`,
    `delete from agent_state.changes where state_no = $no and version >= $v`,
    `delete from agent_state.changes where state_no = $no and version = $v`,
    `update agent_state.states set version = version + $v where state_no = $no`,
    `update agent_state.states set digest = sha256('vandal') where state_no = $no`,
    `update agent_state.states set deleted = true where state_no = $no`,
    `update agent_state.states set type = 'vandal', phase = null where state_no = $no`,
  ),
});

test("random vandalism never goes unnoticed, and is never repaired into something new", async () => {
  const committed = [
    { goal: 1 },
    { goal: 2 },
    { goal: 3 },
    { messages: ["hello"] },
    { messages: ["hello", "and"] },
    { messages: ["hello", "and", "good bye"] },
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(touches, { minLength: 1, maxLength: 3 }), async (done) => {
      await setUp();
      for (const { how, id, version } of done) {
        const statement = how.replace("$no", noOf(id)).replace("$v", String(version));
        await vandalize(statement, true).catch(() => undefined);
      }
      const damage = await look();
      expect(named(damage)).not.toEqual([]);
      const fixed = await look({ fix: "safe" });
      if (fixed.some(({ resolvedAt }) => resolvedAt === null)) {
        expect((await manager.findings({ scope })).items).not.toEqual([]);
        return;
      }
      for (const { data } of dataOf(await documents()) as { data: unknown }[]) {
        expect(committed).toContainEqual(data);
      }
    }),
    { numRuns: proofLength({ short: 15, full: 300 }) },
  );
});

describe("a detector that looks by itself", () => {
  let watchful: StateManager;
  beforeAll(() => {
    watchful = bench.openManager({ fsck: { sweepMs: 100, statesPerSecond: 4_000 } });
  });
  afterAll(() => watchful.close());

  const held = async (): Promise<boolean> => (await watchful.scope(scope)).hold;

  test("names a hand-made UPDATE within two seconds", async () => {
    const from = performance.now();
    await vandalize(
      `update agent_state.states set phase = 'working' where state_no = ${noOf("task")}`,
    );
    const { items } = await until(async () => {
      const page = await watchful.findings({ scope });
      return page.items.length > 0 ? page : null;
    });
    expect(items.map(({ check }) => check)).toEqual(["C3"]);
    expect(await held()).toBe(true);
    expect(performance.now() - from).toBeLessThan(2_000);
  });

  test("its scrub finds what no trigger told", async () => {
    await vandalize(
      `update agent_state.changes set body = '{"goal":0}' where state_no = ${noOf("task")} and version = 1`,
      true,
    );
    await until(held);
    expect(named((await watchful.findings({ scope })).items)).toEqual(["C4"]);
  });

  test("looks at everything once a table was emptied", async () => {
    await vandalize("truncate agent_state.changes");
    const { items } = await until(async () => {
      const page = await watchful.findings({ scope });
      return page.items.length > 0 ? page : null;
    });
    expect(named(items)).toEqual(["C2"]);
  });
});
