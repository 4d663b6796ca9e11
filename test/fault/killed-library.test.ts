import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { StateManager } from "../../src/index.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import { runProgram } from "../support/child.ts";
import { proveOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { changesetOf } from "./changesets.mjs";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { placeOf } from "./place.ts";
import { randomFrom } from "./random.ts";

const KILLS = proofLength({ short: 3, full: 20 });
const WRITERS = 512;
const SCRIPT = join(packageRoot(), "test", "fault", "library-writers.mjs");
const MODULE = join(packageRoot(), "dist", "index.js");

proveOnPostgres("a process that is killed the moment it is told of a commit", (home) => {
  test(
    "has on disk what it was told, and every other write once after a retry",
    { timeout: 60_000 + KILLS * 20_000 },
    async () => {
      await runProgram(["--version"]); // builds what the child runs
      const place = await placeOf(home);
      const ledger = new Ledger();
      const random = randomFrom(9);
      for (let kill = 1; kill <= KILLS; kill += 1) {
        const name = `child-${kill}`;
        const settings = JSON.stringify(place.settings);
        const args = [SCRIPT, MODULE, settings, name, String(WRITERS)];
        const told = await runUntilTold(args, 500 + random(2_000));
        enterAll(ledger, name, told);

        const manager = await StateManager.open(place.settings);
        expect(await judge(place.connection, ledger)).toEqual(SOUND);
        await ledger.retryUnsettled(manager);
        expect(ledger.unsettled.length).toBe(0);
        expect(await judge(place.connection, ledger)).toEqual(SOUND);
        await manager.close();
      }
      console.log(`${home.name}: ${ledger.acknowledged} acknowledged writes, ${KILLS} kills`);
    },
  );
});

/** Runs it, and kills it in the instant in which it has said that many lines; all that it said. */
async function runUntilTold(args: readonly string[], lines: number): Promise<string> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let told = "";
  let count = 0;
  child.stdout.setEncoding("latin1").on("data", (chunk: string) => {
    told += chunk;
    count += chunk.split("\n").length - 1;
    if (count >= lines) child.kill("SIGKILL"); // here, and not after some turns of the event loop
  });
  const [, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  if (signal !== "SIGKILL") throw new Error("the writers ended by themselves");
  return told;
}

/** Enters what the child was told; of each writer, one more write was on its way. */
function enterAll(ledger: Ledger, name: string, output: string): void {
  const counts = Array.from({ length: WRITERS }, () => 0);
  const lines = output.slice(0, output.lastIndexOf("\n")).split("\n");
  for (const line of lines) {
    const [writer = "", count = "", step = "", ...changes] = line.split(" ");
    counts[Number(writer)] = Number(count) + 1;
    const changeset = changesetOf({ name }, Number(writer), Number(count));
    ledger.enter(changeset, {
      changes: changes.map((change) => {
        const [id = "", version = ""] = change.split("=");
        return { id, version: BigInt(version), step: BigInt(step) };
      }),
    });
  }
  counts.forEach((count, writer) => ledger.enter(changesetOf({ name }, writer, count)));
}
