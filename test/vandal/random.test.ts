import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { proofLength } from "../support/length.ts";
import { until } from "../support/until.ts";
import { heldIn, named, Scene } from "./scene.ts";

let scene: Scene;

beforeAll(async () => (scene = await Scene.open()));
afterAll(() => scene.close());
beforeEach(() => scene.setUp());

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
      await scene.setUp();
      for (const { how, id, version } of done) {
        const statement = how.replace("$no", scene.noOf(id)).replace("$v", String(version));
        await scene.vandalize(statement, true).catch(() => undefined);
      }
      const damage = await scene.look();
      expect(named(damage)).not.toEqual([]);
      const fixed = await scene.look({ fix: "safe" });
      if (fixed.some(({ resolvedAt }) => resolvedAt === null)) {
        expect((await scene.manager.findings({ scope: scene.scope })).items).not.toEqual([]);
        return;
      }
      for (const { data } of heldIn(await scene.rows()) as { data: unknown }[]) {
        expect(committed).toContainEqual(data);
      }
    }),
    { numRuns: proofLength({ short: 15, full: 300 }) },
  );
});

describe("a detector that looks by itself", () => {
  let watchful: StateManager;
  beforeAll(() => {
    watchful = scene.bench.openManager({ fsck: { sweepMs: 100, statesPerSecond: 4_000 } });
  });
  afterAll(() => watchful.close());

  const held = async (): Promise<boolean> => (await watchful.scope(scene.scope)).hold;

  test("names what was changed by hand, and holds its scope", async () => {
    await scene.vandalize(
      `update agent_state.states set phase = 'working' where state_no = ${scene.noOf("task")}`,
    );
    const { items } = await until(async () => {
      const page = await watchful.findings({ scope: scene.scope });
      return page.items.length > 0 ? page : null;
    });
    expect(items.map(({ check }) => check)).toEqual(["C3"]);
    expect(await held()).toBe(true);
  });

  test("its scrub finds what no trigger told", async () => {
    await scene.vandalize(
      `update agent_state.changes set body = '{"goal":0}' where state_no = ${scene.noOf("task")} and version = 1`,
      true,
    );
    await until(held);
    expect(named((await watchful.findings({ scope: scene.scope })).items)).toEqual(["C4"]);
  });

  test("looks at everything once a table was emptied", async () => {
    await scene.vandalize("truncate agent_state.changes");
    const { items } = await until(async () => {
      const page = await watchful.findings({ scope: scene.scope });
      return page.items.length > 0 ? page : null;
    });
    expect(named(items)).toEqual(["C2"]);
  });
});
