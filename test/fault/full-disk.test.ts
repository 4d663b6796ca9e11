import { execFileSync } from "node:child_process";
import { chmodSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { startService } from "../support/child.ts";
import { until } from "../support/until.ts";
import { embeddedConnection, scratchDataDir } from "./place.ts";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { startLoad } from "./load.ts";
import type { Load } from "./load.ts";
import { fillUp, mountDisk } from "./small-disk.ts";

const DOCUMENT_BYTES = 30_000;
const HEALED_MS = 60_000;
const timeout = 120_000;

/** A home on a small disk: all of it, or only the log of its database. */
async function openPlace(disk: string, what: "all" | "log"): Promise<string> {
  if (what === "all") return join(disk, "home");
  const dataDir = await scratchDataDir();
  const { child } = await startService(["--data-dir", dataDir]);
  await child.kill("SIGTERM");
  const log = join(dataDir, "main", "pg_wal");
  execFileSync("cp", ["--archive", log, join(disk, "pg_wal")]);
  rmSync(log, { recursive: true });
  symlinkSync(join(disk, "pg_wal"), log);
  chmodSync(disk, 0o755); // its owner has to come through the folder that was mounted
  return dataDir;
}

function startHeavyLoad(face: HttpStateClient, ledger: Ledger): Load {
  const writers = { ledger, faces: [face], writers: 16, name: "full" };
  return startLoad({ ...writers, fillBytes: DOCUMENT_BYTES, timeoutMs: 5_000 });
}

for (const what of ["all", "log"] as const) {
  const name = what === "all" ? "a full disk" : "a full disk under the write-ahead log";
  test(`${name} refuses writes, loses nothing, and is got over`, { timeout }, async (context) => {
    const disk = mountDisk(context);
    const dataDir = await openPlace(disk, what);
    const connection = embeddedConnection(dataDir);
    const service = await startService(["--data-dir", dataDir]);
    const face = HttpStateClient.open({ url: service.url });
    const ledger = new Ledger();
    const load = startHeavyLoad(face, ledger);
    await ledger.more(50);
    fillUp(join(disk, "ballast"));
    await ledger.more(50, "failed");
    rmSync(join(disk, "ballast"));

    const from = performance.now();
    await until(() => face.updateState("after", "shared", null), {
      what: "a write once there is room",
      timeoutMs: HEALED_MS,
    });
    console.log(`writes again ${Math.round(performance.now() - from)} ms after there was room`);
    await load.stop();
    expect(await judge(connection, ledger)).toEqual(SOUND);
    await ledger.retryUnsettled(face);
    await face.close();
    expect(ledger.unsettled).toEqual([]);
    expect(await judge(connection, ledger)).toEqual(SOUND);
    const hasCrashed = service.child.stderr.includes("database server is back");
    expect(hasCrashed || what === "all", "without its log the server crashes").toBe(true);
    await service.child.kill("SIGTERM");
  });
}

test("a service that stops while its disk is full starts again", { timeout }, async (context) => {
  const disk = mountDisk(context);
  const dataDir = await openPlace(disk, "all");
  const service = await startService(["--data-dir", dataDir]);
  const face = HttpStateClient.open({ url: service.url });
  const ledger = new Ledger();
  const load = startHeavyLoad(face, ledger);
  await ledger.more(50);
  fillUp(join(disk, "ballast"));
  await ledger.more(20, "failed");
  const ended = service.child.kill("SIGTERM");
  await Promise.all([ended, load.stop(), face.close()]);
  rmSync(join(disk, "ballast"));

  const again = await startService(["--data-dir", dataDir]);
  expect(await judge(embeddedConnection(dataDir), ledger)).toEqual(SOUND);
  await again.child.kill("SIGTERM");
});
