import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Scene } from "../vandal/scene.ts";

let scene: Scene;

beforeAll(async () => (scene = await Scene.open()));
afterAll(() => scene.close());
beforeEach(() => scene.setUp());

const TALK = "(select state_no from agent_state.states where id = $1)";

test.each([
  ["its newest change", `delete from agent_state.changes where version = 3 and state_no = ${TALK}`],
  ["one in between", `delete from agent_state.changes where version = 2 and state_no = ${TALK}`],
  ["the full copy", `delete from agent_state.changes where version = 1 and state_no = ${TALK}`],
  ["all changes of a state", `delete from agent_state.changes where state_no = ${TALK}`],
  [
    "a state, and all its changes",
    `with gone as (delete from agent_state.changes where state_no = ${TALK}) delete from agent_state.states where id = $1`,
  ],
  [
    "the scope of a change",
    `update agent_state.changes set scope_no = scope_no + 1000 where version = 2 and state_no = ${TALK}`,
  ],
  [
    "the scope of a state",
    `update agent_state.states set scope_no = (select min(scope_no) from agent_state.scopes where scope like 'other%') where id = $1`,
  ],
  ["the type of a state", "update agent_state.states set type = 'vandal' where id = $1"],
])("a copy that lost %s is found and made anew", async (_what, statement) => {
  const before = await scene.pair.copies.readCopy("default", scene.scope);
  await scene.pair.rollback.sql(statement, [`${scene.scope}.talk`]);
  const found = await scene.look();
  expect([...new Set(found.map(({ check, scope }) => [check, scope].join()))]).toEqual([
    `C6,${scene.scope}`,
  ]);
  const fixed = await scene.look({ fix: "safe" });
  expect(fixed.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  await scene.follower.rebuild();
  expect(await scene.look()).toEqual([]);
  expect(await scene.pair.copies.readCopy("default", scene.scope)).toEqual(before);
});
