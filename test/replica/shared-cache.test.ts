import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { cacheOn, redisOf } from "../support/redis.ts";
import { pauseReplay, resumeReplay, waitForReplay } from "../support/replica.ts";
import { until } from "../support/until.ts";
import { openPair, untilInUse } from "./replica.ts";
import type { Pair } from "./replica.ts";

/** Who answers, and which version. */
async function readFrom(manager: StateManager, id: string): Promise<string> {
  const { state, servedBy } = await manager.readState(id, {});
  return `${servedBy}: ${state.version}`;
}

describe("a shared cache beside a replica", () => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await openPair();
  });

  afterAll(() => pair.close());

  test("keeps what the replica answered, and serves none of it that a process was told is over", async (context) => {
    const { address } = await redisOf(context);
    const open = async (): Promise<StateManager> => {
      const manager = pair.openManager({ pollMs: 3, shared: await cacheOn(address.url) });
      await untilInUse(manager);
      return manager;
    };
    const [writer, here, there] = [await open(), await open(), await open()];
    for (const id of ["kept", "marker"]) await writer.updateState(id, "note", 1);
    await waitForReplay(pair);
    const seen = new Set<string>();
    await until(
      async () => {
        seen.add(await readFrom(here, "kept"));
        return seen.has("dragonfly: 1");
      },
      { what: "an entry" },
    );
    // Main was never asked by this process: what is there, the replica answered.
    expect([...seen].toSorted()).toEqual(["dragonfly: 1", "readonly: 1"]);
    expect(await readFrom(there, "kept")).toBe("dragonfly: 1");
    await pauseReplay(pair.readonly);
    try {
      for (const id of ["kept", "marker"]) await writer.updateState(id, "note", 2);
      await until(async () => (await there.getState("marker")).version === 2n);
      expect(await readFrom(there, "kept")).toMatch(/^(?:main|dragonfly): 2$/);
      expect(await readFrom(writer, "kept")).toMatch(/^(?:main|dragonfly): 2$/);
    } finally {
      await resumeReplay(pair.readonly);
    }
  });
});
