import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import type { RollbackStore } from "../../src/state/rollback-port.ts";
import { openRollbackStore } from "../../src/supabase/rollback/rollback-store.ts";
import { startService } from "../support/child.ts";
import { requireHere } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { connectionTo } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { copiesOf, heldBefore } from "./copied.ts";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { startLoad } from "./load.ts";
import type { Load } from "./load.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";
import { startPrivateTrio } from "./private-trio.ts";
import type { PrivateTrio } from "./private-trio.ts";
import { fillUp, mountDisk } from "./small-disk.ts";

const AWAY_MS = proofLength({ short: 3_000, full: 60_000 });
const KILLS = proofLength({ short: 2, full: 20 });
const WRITERS = proofLength({ short: 6, full: 24 });
/** Troubles last a while. */
const restMs = proofLength({ short: 30, full: 0 });
const SOME = 200;
const READS = proofLength({ short: 40, full: 400 });
const timeout = 240_000 + AWAY_MS + KILLS * 20_000;
/** A lease of ten seconds may have to run out first. */
const healing = { timeoutMs: 120_000 };

type RunningService = Awaited<ReturnType<typeof startService>>;

/** A part of `/v1/info`. */
interface Health {
  readonly health: string;
  readonly reason?: string;
}

describe("three databases, of which one fails", () => {
  const missing = missingPostgres();
  if (missing !== undefined) return requireHere(missing);

  let trio: PrivateTrio;
  /** What all tests wrote: what the copies must hold is computed from it alone. */
  const ledger = new Ledger();
  let loads = 0;
  let copies: RollbackStore;
  let ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    trio = await startPrivateTrio();
  }, 120_000);

  beforeEach(() => {
    copies = openRollbackStore(connectionTo(trio.rollback.url));
    ends = [() => copies.close()];
  });

  afterEach(async () => {
    for (const end of ends.toReversed()) await end();
  });

  afterAll(() => trio.close());

  async function serve(
    rollbackUrl = trio.rollback.url,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<RunningService> {
    const env = {
      ...settings,
      AGENT_RUNTIME_SUPABASE_MAIN: trio.main.url,
      AGENT_RUNTIME_SUPABASE_READONLY: trio.readonly.url,
      AGENT_RUNTIME_SUPABASE_ROLLBACK: rollbackUrl,
    };
    const service = await startService([], { env, timeoutMs: 60_000 });
    ends.push(() => service.child.kill());
    return service;
  }

  function clientOf({ url }: RunningService): HttpStateClient {
    const face = HttpStateClient.open({ url });
    ends.push(() => face.close());
    return face;
  }

  function write(...faces: HttpStateClient[]): Load {
    const name = `load-${++loads}`;
    const load = startLoad({ ledger, faces, writers: WRITERS, restMs, name, timeoutMs: 5_000 });
    ends.push(() => load.stop());
    return load;
  }

  async function healthOf(
    { url }: RunningService,
    part: "main" | "rollback" | "readonly",
  ): Promise<Health> {
    const response = await fetch(`${url}/v1/info`);
    const info = (await response.json()) as { parts: Record<string, Health> };
    return info.parts[part]!;
  }

  async function untilHealth(
    service: RunningService,
    part: "main" | "rollback" | "readonly",
    is: (health: Health) => boolean,
  ): Promise<Health> {
    const told = async (): Promise<Health | null> => {
      const health = await healthOf(service, part);
      return is(health) ? health : null;
    };
    return await until(told, { what: `the right health of ${part}`, ...healing });
  }

  const isOk = ({ health }: Health): boolean => health === "ok";
  const isAway = ({ health }: Health): boolean => health === "unavailable";

  /** All that was acknowledged is there, and the copies hold what the ledger says each scope held one step ago. */
  async function expectHealed(service: RunningService, from = copies): Promise<void> {
    const face = clientOf(service);
    await until(
      async () => {
        await ledger.retryUnsettled(face);
        return ledger.unsettled.length === 0;
      },
      { what: "an answer to every write", ...healing },
    );
    expect(await judge({ connectionString: trio.main.url }, ledger)).toEqual(SOUND);
    const expected = heldBefore(ledger);
    const scopes = [...expected.keys()];
    const isCopied = async (): Promise<boolean> => {
      const steps = await Promise.all(
        scopes.map(
          async (scope) => (await from.standing({ namespace: "default", scope }))?.promotedStep,
        ),
      );
      return scopes.every((scope, index) => steps[index] === expected.get(scope)!.step);
    };
    await until(isCopied, { what: "copies of all scopes", ...healing });
    expect(await copiesOf(from, scopes)).toEqual(expected);
    await expectWayBack(face, from);
    await untilHealth(service, "rollback", isOk);
  }

  /** One scope goes back to what the rollback database holds, which never serves what was undone. */
  async function expectWayBack(face: HttpStateClient, from: RollbackStore): Promise<void> {
    const scope = "way-back";
    await face.updateState(scope, "note", { good: true }, { scope });
    const { step } = await face.updateState(scope, "note", { good: false }, { scope });
    const promoted = async (): Promise<bigint | undefined> =>
      (await from.standing({ namespace: "default", scope }))?.promotedStep;
    await until(async () => (await promoted()) === step - 1n, healing);
    const done = await face.rollback(scope);
    expect(done).toMatchObject({ source: "rollback", undoneStep: step, restoredStep: step - 1n });
    const { data } = await face.getState(scope, { consistency: "strong" });
    expect(data).toEqual({ good: true });
    const isFollowed = async (): Promise<boolean> =>
      (await from.standing({ namespace: "default", scope }))?.pendingStep === done.step;
    await until(isFollowed, healing);
    const copy = await from.readCopy("default", scope);
    expect(copy).toMatchObject({ broken: null, promotedStep: step - 1n });
    expect(copy!.states.map(({ text }) => text)).toEqual(['{"good":true}']);
  }

  test(
    "main killed in the middle of commits comes back, and the copies with it",
    { timeout },
    async () => {
      const service = await serve();
      const load = write(clientOf(service));
      await trio.main.end("SIGKILL", () => ledger.more(SOME));
      await untilHealth(service, "rollback", isAway);
      expect((await untilHealth(service, "main", isAway)).reason).toContain("cannot be reached");
      await trio.main.start();
      await ledger.more(SOME);
      await load.stop();
      await expectHealed(service);
    },
  );

  test(
    "a rollback database that is away holds nothing up, and is caught up with",
    { timeout },
    async () => {
      const service = await serve();
      const load = write(clientOf(service));
      await ledger.more(SOME);
      await trio.rollback.end("SIGKILL");
      expect(await untilHealth(service, "rollback", isAway)).toHaveProperty("reason");
      await sleep(AWAY_MS);
      await ledger.more(SOME);
      await trio.rollback.start();
      await load.stop();
      await expectHealed(service);
    },
  );

  test(
    "a rollback database that stands still is told of, and does not hold up a service that stops",
    { timeout },
    async () => {
      // It is told of once a statement was given up.
      const settings = { AGENT_RUNTIME_SUPABASE_STATEMENT_TIMEOUT_MS: "5000" };
      const service = await serve(trio.rollback.url, settings);
      const load = write(clientOf(service));
      await ledger.more(SOME);
      trio.rollback.freeze();
      try {
        await untilHealth(service, "rollback", isAway);
        await ledger.more(SOME);
        await load.stop();
        expect(await service.child.kill("SIGTERM")).toEqual({ code: 0, signal: null });
      } finally {
        trio.rollback.thaw();
      }
      await expectHealed(await serve());
    },
  );

  test(
    "without the replica main is read, and the replica is taken again",
    { timeout },
    async () => {
      const service = await serve();
      const face = clientOf(service);
      const load = write(face);
      await ledger.more(SOME);
      await untilHealth(service, "readonly", isOk);
      await trio.readonly.end("SIGKILL");
      for (let n = 0; n < READS; n++) {
        const { version } = await face.updateState("read", "note", { n });
        const state = await face.getState("read");
        expect(state.version).toBe(version);
      }
      await untilHealth(service, "readonly", (health) => !isOk(health));
      await trio.readonly.start();
      await untilHealth(service, "readonly", isOk);
      await load.stop();
      await expectHealed(service);
    },
  );

  test("a service that is killed again and again follows on", { timeout }, async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const service = await serve();
      const load = write(clientOf(service));
      await ledger.more(SOME);
      await service.child.kill("SIGKILL");
      await load.stop();
    }
    await expectHealed(await serve());
  });

  test(
    "of two services one follows; when it is killed, the other one does",
    { timeout },
    async () => {
      const services = await Promise.all([serve(), serve()]);
      const load = write(...services.map(clientOf));
      await ledger.more(SOME);
      const leads = async (): Promise<RunningService | undefined> => {
        const all = await Promise.all(services.map((each) => healthOf(each, "rollback")));
        const waiting = all.findIndex(({ health }) => health === "waiting");
        return waiting === -1 ? undefined : services[1 - waiting];
      };
      const leader = await until(leads, { what: "one that waits", ...healing });
      const other = services.find((each) => each !== leader)!;
      await leader.child.kill("SIGKILL");
      await untilHealth(other, "rollback", ({ health }) => health === "ok" || health === "behind");
      await ledger.more(SOME);
      await load.stop();
      await expectHealed(other);
    },
  );

  test(
    "a full disk under the rollback database leaves main alone, and is got over",
    { timeout },
    async (context) => {
      const disk = mountDisk(context);
      chmodSync(disk, 0o755); // its server has to come through the folder that was mounted
      const sizes = { wal_keep_size: 0, min_wal_size: "32MB", max_wal_size: "48MB" };
      const rollback = await PrivatePostgres.open(sizes, disk);
      ends.push(() => rollback.close());
      const small = openRollbackStore(connectionTo(rollback.url));
      ends.push(() => small.close());
      const service = await serve(rollback.url);
      await untilHealth(service, "rollback", isOk);
      const load = write(clientOf(service));
      const ballast = join(disk, "ballast");
      fillUp(ballast);
      const { reason } = await untilHealth(service, "rollback", isAway);
      expect(reason).not.toBe("");
      await ledger.more(SOME);
      rmSync(ballast);
      if (!rollback.isRunning) await rollback.start();
      await load.stop();
      await expectHealed(service, small);
    },
  );
});
