import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openStateManager } from "../../src/runtime.ts";
import { until } from "../support/until.ts";
import { untilInUse } from "./replica.ts";

test("the embedded home's replica serves reads, as the service's login", async () => {
  const folder = await mkdtemp(join(tmpdir(), "art-replica-"));
  const manager = await openStateManager({ dataDir: join(folder, "data"), cache: { entries: 0 } });
  try {
    await untilInUse(manager);
    await manager.updateState("a", "note", 1);
    expect((await manager.getState("a")).version).toBe(1n);
    await until(async () => (await manager.readState("a", {})).servedBy === "readonly");
  } finally {
    await manager.close();
    await rm(folder, { recursive: true });
  }
});
