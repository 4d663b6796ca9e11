import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { named, Scene } from "./scene.ts";

let scene: Scene;

beforeAll(async () => (scene = await Scene.open()));
afterAll(() => scene.close());
beforeEach(() => scene.setUp());

test("a vandalized rollback copy is found and made anew; main is not held for it", async () => {
  await scene.pair.rollback.sql(
    `update agent_state.changes set digest = sha256('no') where version = 2
        and state_no = (select state_no from agent_state.states where id = $1)`,
    [`${scene.scope}.talk`],
  );
  await scene.pair.rollback.sql(
    "update agent_state.scopes set pending_step = 99, promoted_step = 98 where scope = $1",
    [scene.scope],
  );
  const found = await scene.look();
  // What follows from a digest that was forged proves nothing either.
  expect([...new Set(found.map(({ check }) => check))]).toEqual(["C6"]);
  expect(await scene.isHeld()).toBe(false);
  const fixed = await scene.look({ fix: "safe" });
  expect(fixed.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  await scene.follower.rebuild();
  expect(
    await scene.pair.copies.standing({ namespace: "default", scope: scene.scope }),
  ).toMatchObject({
    broken: null,
    pendingStep: 6n,
    promotedStep: 5n,
  });
  expect(await scene.look()).toEqual([]);
});

test("what was put right by hand is settled, and nothing else is done about it", async () => {
  const forge = (phase: string): Promise<void> =>
    scene.vandalize(
      `update agent_state.states set phase = '${phase}' where state_no = ${scene.noOf("task")}`,
      true,
    );
  await forge("working");
  expect(named(await scene.look())).toEqual(["C3"]);
  await forge("ready");
  const plan = await scene.look({ plan: true });
  expect(plan.map(({ safe, remedy }) => [safe, remedy])).toEqual([[true, "no longer there"]]);
  const fixed = await scene.look({ fix: "safe" });
  expect(fixed.map(({ resolution }) => resolution)).toEqual(["no longer there"]);
  expect(await scene.manager.scope(scene.scope)).toMatchObject({ hold: false, quarantined: [] });
});

test("a history that was made up with all its digests is one word against the copy's: held until somebody decides", async () => {
  const before = await scene.rows();
  await rechain("talk", `{"messages":["bye"]}`);
  const damaged = await scene.rows();
  expect(damaged).not.toEqual(before);
  const found = await scene.look();
  // What this process remembers speaks against main too, but it is main's word of before.
  expect(named(found)).toEqual(["C6", "C7"]);
  expect(await scene.isHeld()).toBe(true);
  const fixed = (await scene.look({ fix: "safe" })).filter(({ check }) => check === "C6");
  expect(fixed.every(({ safe, resolvedAt }) => safe === false && resolvedAt === null)).toBe(true);
  expect((await scene.manager.scope(scene.scope)).quarantined).not.toEqual([]);
  expect(await scene.rows(), "none is believed").toEqual(damaged);

  // Who releases it has decided for main.
  await scene.manager.release(scene.scope);
  await scene.look();
  expect(await scene.isHeld(), "a finding that was seen holds nobody again").toBe(false);
  const decided = await scene.look({ fix: "safe" });
  expect(decided.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  await scene.follower.rebuild();
  expect(await scene.look()).toEqual([]);
});

/** Makes another first document of a state, and all digests after it fit. */
async function rechain(id: string, body: string): Promise<void> {
  const rows = await scene.bench.sql<{ version: string }>(
    `select version from agent_state.changes where state_no = ${scene.noOf(id)} order by version`,
  );
  for (const { version } of rows) {
    const text = version === "1" ? `'${body}'::json` : "c.body";
    await scene.vandalize(
      `update agent_state.changes c set body = ${text}, digest = agent_state.digest_of(
           coalesce((select b.digest from agent_state.changes b where b.state_no = c.state_no and b.version = c.version - 1), ''),
           s.namespace, s.id, s.type, c.step, c.version, 'u', c.stored::text, c.phase, ${text})
         from agent_state.states s where s.state_no = c.state_no and c.state_no = ${scene.noOf(id)} and c.version = ${version}`,
      true,
    );
  }
  await scene.vandalize(
    `update agent_state.states s set digest = c.digest from agent_state.changes c
      where c.state_no = s.state_no and c.version = s.version and s.state_no = ${scene.noOf(id)}`,
    true,
  );
}

test("a state in memory that was read from a forged row is dropped", async () => {
  const id = `${scene.scope}.task`;
  const forge = (phase: string): Promise<void> =>
    scene.vandalize(`update agent_state.states set phase = '${phase}' where id = '${id}'`, true);
  await forge("working");
  const reader = scene.bench.openManager();
  expect((await reader.getState(id)).phase).toBe("working");
  await forge("ready");
  expect((await reader.getState(id)).phase, "as it was read").toBe("working");
  const { findings } = await reader.fsck({ scope: scene.scope });
  expect(findings.map(({ check, id: of }) => [check, of])).toEqual([["C7", id]]);
  expect((await reader.scope(scene.scope)).hold).toBe(false);
  const fixed = await reader.fsck({ scope: scene.scope, fix: "safe" });
  expect(fixed.findings.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  expect((await reader.getState(id)).phase).toBe("ready");
});

test("a copy of another scope's change, a missing copy and a suspect one are found and made anew", async () => {
  const key = { namespace: "default", scope: scene.scope };
  await scene.pair.rollback.sql(
    `update agent_state.changes c set body = o.body, digest = o.digest, before = o.before
       from agent_state.changes o join agent_state.states x on x.state_no = o.state_no and x.id = $2 and o.version = 1
      where c.version = 3 and c.state_no = (select state_no from agent_state.states where id = $1)`,
    [`${scene.scope}.talk`, `other-${scene.scope}`],
  );
  expect(named(await scene.look())).toEqual(["C6"]);
  await scene.pair.rollback.sql(
    "update agent_state.scopes set broken = 'they differ' where scope = $1",
    [scene.scope],
  );
  expect(named(await scene.look({ fix: "safe" }))).toEqual(["C6"]);
  await scene.follower.rebuild();
  expect(await scene.pair.copies.standing(key)).toMatchObject({ broken: null, promotedStep: 5n });

  await scene.pair.rollback.sql(
    "update agent_state.scopes set broken = 'they differ' where scope = $1",
    [scene.scope],
  );
  const [suspect] = await scene.look();
  expect(suspect!.detail).toBe("it is not served: they differ");
  expect((await scene.look({ fix: "safe" }))[0]!.resolvedAt).not.toBeNull();
  await scene.follower.rebuild();
  expect(await scene.look()).toEqual([]);

  await scene.pair.rollback.sql(
    `with gone as (delete from agent_state.scopes where scope = $1 returning scope_no),
       changes as (delete from agent_state.changes c using gone where c.scope_no = gone.scope_no)
     delete from agent_state.states s using gone where s.scope_no = gone.scope_no`,
    [scene.scope],
  );
  expect(await scene.look(), "the follower may be on its way").toEqual([]);
  await scene.vandalize(
    `update agent_state.changes set at = at - interval '1 hour' where state_no in (${scene.noOf("task")}, ${scene.noOf("talk")})`,
    true,
  );
  const [missing] = await scene.look();
  expect(missing!.detail).toBe("there is no copy of it");
  expect((await scene.look({ fix: "safe" }))[0]!.resolvedAt).not.toBeNull();
  await scene.follower.rebuild();
  expect(await scene.pair.copies.standing(key)).toMatchObject({ broken: null, promotedStep: 5n });
});

test("a copy of a scope that main lost is kept, also where the scope is written to again, until somebody decides", async () => {
  const key = { namespace: "default", scope: scene.scope };
  const copy = await scene.pair.copies.readCopy("default", scene.scope);
  const no = `(select scope_no from agent_state.scopes where scope = '${scene.scope}')`;
  for (const table of ["changes", "states", "gates", "scopes"]) {
    await scene.vandalize(`delete from agent_state.${table} where scope_no = ${no}`, true);
  }
  await scene.look({ fix: "safe" }); // what this process remembers goes
  const plan = await scene.look({ plan: true });
  expect(plan.map(({ check, id, detail, safe }) => [check, id, detail, safe])).toEqual([
    ["C6", null, "it has step 6, and main does not have the scope", false],
  ]);
  const fixed = (await scene.manager.fsck({ fix: "safe" })).findings;
  expect(fixed.map(({ remedy, resolvedAt }) => [remedy, resolvedAt])).toEqual([
    ["keep the copy: it is all that is left of it", null],
  ]);
  await scene.follower.rebuild();
  expect(await scene.pair.copies.readCopy("default", scene.scope)).toEqual(copy);

  const writer = scene.bench.openManager();
  await writer.updateState(`${scene.scope}.talk`, "note", { messages: [] }, { scope: scene.scope });
  await scene.follower.drain();
  const again = (await scene.look({ fix: "safe" })).filter(({ resolvedAt }) => resolvedAt === null);
  expect(named(again)).toEqual(["C6"]);
  expect(await scene.isHeld()).toBe(true);
  const kept = await scene.pair.copies.digests(key);
  expect(kept.filter(({ verified }) => verified).length).toBeGreaterThan(0);

  await scene.manager.release(scene.scope);
  const decided = await scene.look({ fix: "safe" });
  expect(decided.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  await scene.follower.rebuild();
  expect(await scene.look()).toEqual([]);
});
