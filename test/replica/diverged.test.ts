import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { missingPostgres } from "../fault/private-postgres.ts";
import { waitForReplay } from "../support/replica.ts";
import type { Finding } from "../../src/state/fsck.ts";
import { until } from "../support/until.ts";
import { openPair, untilInUse, untilNotInUse } from "./replica.ts";
import type { Pair } from "./replica.ts";

let pair: Pair;

beforeAll(async () => (pair = await openPair()), 120_000);
afterAll(() => pair.close());

test.skipIf(missingPostgres() !== undefined)(
  "a replica whose files hold what main never did is found, not read, and read again once it is right",
  async () => {
    const manager = pair.openManager({ fsck: { sweepMs: 50, statesPerSecond: 4_000 } });
    await manager.updateState("sound", "note", { n: 1 });
    const { digest } = await manager.updateState("rotten", "note", { n: 1 });
    await rot(Buffer.from(digest, "hex"));

    const look = async (): Promise<Finding | undefined> => {
      await manager.fsck({ scope: "rotten" }); // cannot look at a replica that is not back yet
      return (await manager.findings()).items[0];
    };
    const found = await until(look, { what: "the finding", timeoutMs: 60_000 });
    expect(found).toMatchObject({ check: "C5", kind: "divergent", id: "rotten", version: 1n });
    expect(await untilNotInUse(manager)).toContain("fsck");
    expect((await manager.scope("rotten")).hold).toBe(false);
    const answer = await manager.readState("rotten", { consistency: "eventual" });
    expect(answer).toMatchObject({ state: { digest, data: { n: 1 } }, servedBy: "main" });

    // The first write to a page after a checkpoint brings all of it.
    await manager.updateState("rotten", "note", { n: 2 });
    await waitForReplay(pair);
    const { findings } = await manager.fsck({ fix: "safe" });
    expect(findings.map(({ check, resolution }) => [check, resolution])).toEqual([
      ["C5", "no longer there"],
    ]);
    await untilInUse(manager);
  },
  300_000,
);

/** Changes one bit of this digest in the files of the replica. */
async function rot(digest: Buffer): Promise<void> {
  const { main, readonly } = pair;
  // As a disk whose checksums fit, or nobody looks at them.
  await main.sql("alter database postgres set ignore_checksum_failure = on");
  // What a later reader would note in the page is noted now: it would bring the page anew, without the rot.
  await main.sql("vacuum (freeze) agent_state.states");
  await main.sql("checkpoint");
  await waitForReplay(pair);
  await readonly.sql("checkpoint");
  const [at] = await readonly.sql<{ folder: string; file: string }>(
    "select current_setting('data_directory') as folder, pg_relation_filepath('agent_state.states') as file",
  );
  await readonly.end("SIGINT");
  const file = path.join(at!.folder, at!.file);
  const bytes = readFileSync(file);
  const place = bytes.indexOf(digest);
  expect(place).toBeGreaterThan(0);
  bytes[place]! ^= 1;
  writeFileSync(file, bytes);
  await readonly.start();
}
