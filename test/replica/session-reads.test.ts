import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import pg from "pg";
import { setTimeout as sleep } from "node:timers/promises";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { AgentRuntimeError } from "../../src/state/errors.ts";
import type { SessionToken } from "../../src/state/request.ts";
import { proofLength } from "../support/length.ts";
import { pauseReplay, resumeReplay, waitForReplay } from "../support/replica.ts";
import { until } from "../support/until.ts";
import { fromReplica, openPair, replicaOf, untilInUse } from "./replica.ts";
import type { Pair } from "./replica.ts";

const READS = proofLength({ short: 2_000, full: 20_000 });
const PAUSE_MS = proofLength({ short: 1_000, full: 10_000 });

describe("reads beside a replica", () => {
  let pair: Pair;
  let here: StateManager;
  let there: StateManager;

  beforeAll(async () => {
    pair = await openPair();
    here = pair.openManager();
    there = pair.openManager();
    await untilInUse(here);
    await untilInUse(there);
  });

  afterAll(() => pair.close());

  async function withPausedReplay(work: () => Promise<void>): Promise<void> {
    await waitForReplay(pair);
    await pauseReplay(pair.readonly);
    try {
      await work();
    } finally {
      await resumeReplay(pair.readonly);
      await waitForReplay(pair);
      await untilInUse(here);
      await untilInUse(there);
    }
  }

  const ids = async (manager: StateManager, options: object): Promise<string[]> =>
    (await manager.list(options)).items.map(({ id }) => id);

  test("are served by it where it has what the session wrote", async () => {
    await here.updateState("served", "note", 1);
    await waitForReplay(pair);
    expect(await fromReplica(() => here.readState("served", {}))).toMatchObject({
      state: { version: 1n, data: 1 },
    });
    await fromReplica(() => here.readState("served", { version: 1n }));
    expect(await here.readState("served", { consistency: "strong" })).toMatchObject({
      servedBy: "main",
    });
  });

  test("may be many at once without a warning of Node's", async () => {
    const warnings: string[] = [];
    const listen = ({ message }: Error): void => void warnings.push(message);
    process.on("warning", listen);
    onTestFinished(() => void process.off("warning", listen));
    await Promise.all(Array.from({ length: 50 }, (_, n) => here.list({ scope: `many-${n}` })));
    await sleep(0); // they are emitted in a later turn
    expect(warnings).toEqual([]);
  });

  test("of a state, its absence, its history and lists of it are never older than what was written here", async () => {
    await here.updateState("kept", "note", 1, { scope: "both" });
    await here.updateState("gone", "note", 1, { scope: "both" });
    await withPausedReplay(async () => {
      await here.updateState("kept", "note", 2, { scope: "both" });
      await here.updateState("new", "note", 1, { scope: "both" });
      await here.deleteState("gone");
      expect(await here.readState("kept", {})).toMatchObject({
        servedBy: "main",
        state: { version: 2n },
      });
      expect(await here.getState("new")).toMatchObject({ version: 1n });
      await expect(here.getState("gone")).rejects.toMatchObject({ code: "GONE" });
      expect((await here.history("kept")).items).toHaveLength(2);
      expect((await here.history("gone")).items[0]).toMatchObject({ kind: "delete" });
      expect((await here.diff("kept")).to).toBe(2n);
      for (const scope of ["both", undefined]) {
        const options = { idPrefix: "", ...(scope === undefined ? {} : { scope }) };
        expect(await ids(here, options)).toEqual(expect.arrayContaining(["kept", "new"]));
        expect(await ids(here, options)).not.toContain("gone");
      }
      expect(await here.scope("both")).toMatchObject({ step: 5n });
      expect((await here.scopeStates("both")).items.map(({ id }) => id)).toEqual(["kept", "new"]);
    });
  });

  test("in another process are not, with the token; without, they may be", async () => {
    const session: SessionToken[] = [];
    await here.updateState("moved", "note", 1);
    await waitForReplay(pair);
    const deaf = pair.openManager({ pollMs: 1_000_000, isAlone: true });
    await untilInUse(deaf);
    await withPausedReplay(async () => {
      session.push(await here.updateState("moved", "note", 2, { scope: "moved" }));
      session.push(await here.updateState("born", "note", 1, { scope: "other" }));
      expect(await deaf.readState("moved", {})).toMatchObject({
        servedBy: "readonly",
        state: { version: 1n },
      });
      await expect(deaf.getState("born")).rejects.toMatchObject({ code: "STATE_NOT_FOUND" });
      expect(await ids(deaf, {})).not.toContain("born");

      expect(await ids(deaf, { session })).toContain("born");
      expect((await deaf.history("moved", { session })).items).toHaveLength(2);
      expect(await deaf.scope("moved", { session })).toMatchObject({ step: 2n });
    });
    await deaf.close();
  });

  test("that were answered by main are not followed by older ones", async () => {
    await here.updateState("back", "note", 1);
    await waitForReplay(pair);
    const deaf = pair.openManager({ pollMs: 1_000_000, isAlone: true });
    await untilInUse(deaf);
    await withPausedReplay(async () => {
      await here.updateState("back", "note", 2);
      expect((await deaf.getState("back")).version).toBe(1n);
      expect((await deaf.getState("back", { consistency: "strong" })).version).toBe(2n);
      expect((await deaf.getState("back")).version).toBe(2n);
      expect((await deaf.getState("back", { consistency: "eventual" })).version).toBe(1n);
      expect(await deaf.scope("back")).toMatchObject({ step: 2n });
    });
    await deaf.close();
  });

  test("do not put into memory what other processes made out of date", async () => {
    const cached = pair.openManager({ cache: { entries: 100, bytes: 1_000_000 } });
    await here.updateState("foreign", "note", 1);
    await waitForReplay(pair);
    await withPausedReplay(async () => {
      await here.updateState("foreign", "note", 2);
      // The poll of what others changed has seen it: what the replica answers is older, and stays out from here on.
      await until(async () => (await cached.getState("foreign")).version === 2n);
      for (let n = 0; n < 10; n++) expect((await cached.getState("foreign")).version).toBe(2n);
    });
    expect((await cached.getState("foreign")).version).toBe(2n);
    await cached.close();
  });

  test("after a lost answer to a write ask main, which alone can know", async () => {
    await here.updateState("doubt", "note", 1);
    await waitForReplay(pair);
    await withPausedReplay(async () => {
      const manager = pair.openManager({ statementTimeoutMs: 1_000 }); // less, and a busy replica is out of use
      await untilInUse(manager);
      const holder = new pg.Client({ connectionString: pair.main.url });
      onTestFinished(() => holder.end());
      await holder.connect();
      await holder.query("begin; lock table agent_state.states in share mode");
      const error: unknown = await manager.updateState("doubt", "note", 2).catch((e: unknown) => e);
      expect((error as AgentRuntimeError).facts.mayHaveHappened).toBe(true);
      expect(await manager.readState("doubt", {})).toMatchObject({ servedBy: "main" });
      await until(async () => {
        await manager.list();
        const { figures, status } = replicaOf(manager);
        return figures.fallbacks.has("behind") || status.reason === "it is far behind";
      });
      await holder.query("commit");
      await manager.close();
    });
  });

  test(`of ${READS} none is stale, with a replica that lags at random and stands still for ${PAUSE_MS} ms; nearly all are its own where it is not behind`, async () => {
    const versions = new Map<string, bigint>();
    const states = Array.from({ length: 40 }, (_, n) => `s${n}`);
    const namespace = "session";
    let stale = 0;
    const oneOf = (): string => states[Math.floor(Math.random() * states.length)]!;
    const write = async (): Promise<void> => {
      const id = oneOf();
      const { version } = await here.updateState(id, "note", { n: Math.random() }, { namespace });
      if (version > (versions.get(id) ?? 0n)) versions.set(id, version);
    };
    const read = async (): Promise<void> => {
      const id = oneOf();
      const least = versions.get(id) ?? 0n;
      const other = Math.random() < 0.3;
      const { version } = other
        ? await there.getState(id, { namespace, minVersion: least })
        : await here.getState(id, { namespace });
      if (version < least) stale++;
    };
    const list = async (): Promise<void> => {
      const least = new Map(versions);
      const { items } = await here.list({ namespace });
      const found = new Map(items.map(({ id, version }) => [id, version]));
      for (const [id, version] of least) if ((found.get(id) ?? 0n) < version) stale++;
    };
    for (const id of states)
      versions.set(id, (await here.updateState(id, "note", 0, { namespace })).version);
    await waitForReplay(pair);

    // A replica that was held up by a busy machine is out of use for a second: then it is counted again.
    const shareOf = async (): Promise<number | null> => {
      await untilInUse(here);
      const before = replicaOf(here).figures;
      await inParallel(READS / 4, async (n) => {
        await (n % 10 === 0 ? list() : read());
      });
      const { served, fallbacks } = replicaOf(here).figures;
      if (fallbacks.get("open") !== before.fallbacks.get("open")) return null;
      const byReplica = served.readonly - before.served.readonly;
      return byReplica / (byReplica + served.main - before.served.main);
    };
    expect(await until(shareOf)).toBeGreaterThanOrEqual(0.95);

    let isOver = false;
    const lagging = (async () => {
      while (!isOver) {
        await standStill(pair, Math.random() * 30);
        await sleep(Math.random() * 30);
      }
      await standStill(pair, PAUSE_MS);
    })();
    await inParallel(READS / 4, async (n) => {
      if (n % 3 === 0) await write();
      else await (n % 10 === 1 ? list() : read());
    });
    isOver = true;
    await inParallel(READS / 2, async (n) => {
      if (n % 5 === 0) await write();
      else await (n % 10 === 1 ? list() : read());
    });
    await lagging;
    expect(stale).toBe(0);
  });
});

/** The test's own statements, too, may stand in the way of the replica's recovery. */
async function standStill({ readonly }: Pair, ms: number): Promise<void> {
  await pauseReplay(readonly).catch(passing);
  await sleep(ms);
  await until(() => resumeReplay(readonly).then(() => true, passing));
}

function passing(error: { readonly code?: string }): false {
  if (error.code !== "40001") throw error as Error;
  return false;
}

async function inParallel(calls: number, call: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < calls) await call(next++);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
