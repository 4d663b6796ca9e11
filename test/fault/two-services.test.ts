import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import { startService } from "../support/child.ts";
import { proofLength } from "../support/length.ts";
import { until } from "../support/until.ts";
import { byScope, Follower, logOf } from "./followers.ts";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";
import { randomFrom } from "./random.ts";

const WRITES = proofLength({ short: 600, full: 3_000 });
const RACES = proofLength({ short: 50, full: 200 });
const RACERS = 16;
const LOOKS = proofLength({ short: 30, full: 100 });
/** A change of the other service is seen after one look at the feed (200 ms), on a busy machine much later. */
const SEEN_MS = 20_000;

let postgres: PrivatePostgres;
let faces: HttpStateClient[];

const missing = missingPostgres();

beforeEach(async () => {
  if (missing !== undefined) return;
  postgres = await PrivatePostgres.open();
  const env = { SUPABASE_DB_URL: postgres.url };
  // Both at once: the schema is made while the other one waits for it.
  const services = await Promise.all([startService([], { env }), startService([], { env })]);
  faces = services.map(({ url }) => HttpStateClient.open({ url }));
});

afterEach(async () => {
  if (missing !== undefined) return;
  await Promise.all(faces.map((face) => face.close()));
  await postgres.close();
});

describe.skipIf(missing !== undefined)("two services on one database", () => {
  test(
    "write the same scopes at once, without a gap, and each one's watchers see all",
    { timeout: 120_000 },
    async () => {
      const ledger = new Ledger();
      const random = randomFrom(8);
      const followers = faces.map((face) => new Follower(face, { random, every: 300 }));
      const load = startLoad({ ledger, faces, writers: 128, name: "both" });
      await ledger.more(WRITES);
      await load.stop();
      expect(ledger.unsettled).toEqual([]);
      expect(await judge({ connectionString: postgres.url }, ledger)).toEqual(SOUND);

      const log = await logOf(postgres.url);
      const isComplete = (): boolean => followers.every(({ seen }) => seen.length >= log.length);
      await until(isComplete, { what: "the end of both feeds", timeoutMs: 30_000 }).catch(
        () => undefined,
      );
      await Promise.all(followers.map((follower) => follower.stop()));
      for (const { seen } of followers) expect(byScope(seen)).toEqual(byScope(log));
    },
  );

  test("let one of many win each version", { timeout: 120_000 }, async () => {
    const winners: string[] = [];
    await faces[0]!.updateState("prize", "shared", { winner: "nobody" });
    const race = async (racer: number): Promise<void> => {
      const face = faces[racer % 2]!;
      while (winners.length < RACES) {
        const { version } = await face.getState("prize", { consistency: "strong" });
        try {
          const options = { expectedVersion: version };
          const won = await face.updateState("prize", "shared", { winner: racer }, options);
          winners.push(won.version.toString());
        } catch (error) {
          if (!(error instanceof AgentRuntimeError) || error.code !== "VERSION_CONFLICT")
            throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: RACERS }, (_, racer) => race(racer)));
    const { version } = await faces[1]!.getState("prize", { consistency: "strong" });
    const versions = Array.from({ length: Number(version) - 1 }, (_, index) => `${index + 2}`);
    expect(winners.toSorted((left, right) => Number(left) - Number(right))).toEqual(versions);
    expect(await judge({ connectionString: postgres.url }, new Ledger())).toEqual(SOUND);
  });

  test(
    "see each other's changes although each reads from its memory",
    { timeout: 120_000 },
    async () => {
      const [here, there] = faces as [HttpStateClient, HttpStateClient];
      let slowestMs = 0;
      for (let look = 1; look <= LOOKS; look += 1) {
        const [writer, reader] = look % 2 === 0 ? [here, there] : [there, here];
        const { version } = await writer.updateState("seen", "shared", { look });
        const from = performance.now();
        const isSeen = async (): Promise<boolean> =>
          (await reader.getState("seen").catch(() => ({ version: 0n }))).version >= version;
        await until(isSeen, { what: `version ${version}`, timeoutMs: SEEN_MS });
        slowestMs = Math.max(slowestMs, performance.now() - from);
        const { data } = await reader.getState("seen");
        expect(data).toEqual({ look });
      }
      console.log(`seen by the other service within ${Math.round(slowestMs)} ms`);
    },
  );
});
