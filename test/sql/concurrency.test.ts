import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type {
  ChangeRow,
  FeedPosition,
  FeedRow,
  PreparedUnit,
  StateStore,
} from "../../src/state/ports.ts";
import { auditDatabase, checkFeedOrder, settled } from "../model/audit.ts";
import { batchesIn } from "../model/random-batches.ts";
import { describeOnHomes } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

const writers = 10;
const runs = proofLength({ short: 6, full: 120 });
const races = proofLength({ short: 15, full: 200 });
const slow = proofLength({ short: 6, full: 40 });

/** Everything that a commit may answer; anything else is a fault. */
const CODES = new Set([
  null,
  "ALREADY_EXISTS",
  "GONE",
  "IDEMPOTENCY_KEY_REUSED",
  "ILLEGAL_TRANSITION",
  "INVALID_PATCH",
  "INVALID_PHASE",
  "INVALID_SCOPE",
  "INVALID_TYPE",
  "PAYLOAD_TOO_LARGE",
  "REBASE",
  "REPLAYED",
  "SCOPE_ON_HOLD",
  "STATE_NOT_FOUND",
  "STEP_CONFLICT",
  "UNIT_REFUSED",
  "VERSION_CONFLICT",
]);

describeOnHomes("many writers at once", (home) => {
  let bench: Bench;
  let store: StateStore;

  beforeAll(async () => {
    bench = await openBench(home);
    // Batches that go unit by unit meet in any order: their deadlocks are resolved, after this long.
    await bench.sql(`alter database ${bench.database.name} set deadlock_timeout = '20ms'`);
    store = bench.openStore({ lanes: writers, dataBytes: 900 });
  });

  afterAll(() => bench.close());

  test("on few states and scopes: only documented outcomes, no gap, no half unit, whatever the order", async () => {
    const work = fc.sample(batchesIn("crowd", 4), writers * runs);
    const answered: { unit: PreparedUnit; rows: readonly ChangeRow[] }[] = [];
    await Promise.all(
      Array.from({ length: writers }, async (_, lane) => {
        for (const batches of work.slice(lane * runs, (lane + 1) * runs)) {
          for (const batch of batches) {
            const units = batch.map((unit) => ({ ...unit, namespace: "crowd" }));
            const rows = await store.commitBatch(lane, units, lane % 2 === 0);
            units.forEach((unit, index) => answered.push({ unit, rows: rows[index]! }));
          }
        }
      }),
    );
    const codes = answered.flatMap(({ rows }) => rows.map(({ code }) => code));
    expect([...new Set(codes)].filter((code) => !CODES.has(code))).toEqual([]);
    // What was acknowledged is what is on disk, change by change.
    const acknowledged = answered.flatMap(({ unit, rows }) =>
      rows.flatMap(({ code, version, step, digest }, index) =>
        code === null ? [`${unit.changes[index]!.id}@${version} ${step} ${digest}`] : [],
      ),
    );
    const disk = await bench.sql<{ name: string }>(
      `select s.id || '@' || c.version || ' ' || c.step || ' ' || encode(c.digest, 'hex') as name
         from agent_state.changes c join agent_state.states s using (state_no) where s.namespace = 'crowd'`,
    );
    expect(acknowledged.toSorted()).toEqual(disk.map(({ name }) => name).toSorted());
    expect(acknowledged.length).toBeGreaterThan(runs * writers);
    await auditDatabase(bench, "crowd");
  });

  test("with the same expected version: one wins, the others are told which version won", async () => {
    for (let race = 0; race < races; race++) {
      const expected = BigInt(race);
      const fates = await Promise.all(
        Array.from({ length: writers }, (_, lane) =>
          store.commitBatch(
            lane,
            [unitOf("race", "one", { expectedVersion: expected, body: String(lane) })],
            race % 2 === 0,
          ),
        ),
      );
      const rows = fates.map((answers) => answers[0]![0]!);
      expect(rows.filter(({ code }) => code === null).map(({ version }) => version)).toEqual([
        expected + 1n,
      ]);
      const losers = rows.filter(({ code }) => code !== null);
      const told = race === 0 ? "ALREADY_EXISTS" : "VERSION_CONFLICT";
      expect(losers.map(({ code, version }) => [code, version])).toEqual(
        Array.from({ length: writers - 1 }, () => [told, expected + 1n]),
      );
    }
    await auditDatabase(bench, "race");
  });

  test("with the same expected step: one wins; with the same idempotency key: all get its answer", async () => {
    for (let race = 0; race < races; race++) {
      const onStep = Array.from({ length: writers }, (_, lane) => {
        const unit = unitOf("steps", `s${lane}`, { expectedVersion: null, body: "1" });
        return store.commitBatch(
          lane,
          [{ ...unit, scope: "one", expectedStep: BigInt(race) }],
          true,
        );
      });
      const codes = (await Promise.all(onStep)).map((answers) => answers[0]![0]!.code);
      expect(codes.filter((code) => code === null)).toHaveLength(1);
      expect(new Set(codes)).toEqual(new Set([null, "STEP_CONFLICT"]));
      const onKey = Array.from({ length: writers }, (_, lane) => {
        const unit = unitOf("keys", "one", { expectedVersion: null, body: "1" });
        return store.commitBatch(lane, [{ ...unit, idempotencyKey: `k${race}` }], true);
      });
      const rows = (await Promise.all(onKey)).map((answers) => answers[0]![0]!);
      expect(rows.filter(({ code }) => code === null)).toHaveLength(1);
      expect(new Set(rows.map(({ code }) => code))).toEqual(new Set([null, "REPLAYED"]));
      expect(new Set(rows.map(({ step }) => step))).toEqual(new Set([BigInt(race + 1)]));
    }
    await auditDatabase(bench, "keys");
    await auditDatabase(bench, "steps");
  });

  test("in a scope that is new: those who are refused take it from nobody, and leave none behind", async () => {
    const refused = { op: "delete", id: "nowhere", type: null, body: null } as const;
    for (let race = 0; race < races; race++) {
      const fates = await Promise.all(
        Array.from({ length: writers }, (_, lane) => {
          const unit = unitOf("fresh", `${race}-${lane}`, { expectedVersion: 0n, body: "1" });
          const changes =
            lane % 2 === 0 ? unit.changes : [...unit.changes, { ...unit.changes[0]!, ...refused }];
          const scope = lane === 9 ? `nobody ${race}` : `scope ${race}`;
          return store.commitBatch(lane, [{ ...unit, scope, changes }], true);
        }),
      );
      const codes = fates.map(([rows]) => rows!.at(-1)!.code);
      expect(codes).toEqual(codes.map((_, lane) => (lane % 2 === 0 ? null : "STATE_NOT_FOUND")));
    }
    await auditDatabase(bench, "fresh");
  });

  test("while some transactions stay open long: the feed, read in pages all along, misses nothing and keeps each scope's order", async () => {
    const { head } = await store.feed.bounds();
    const seen: FeedRow[] = [];
    let after: FeedPosition = head;
    let isOver = false;
    let commits = 0;
    const reading = (async () => {
      for (let page = 1; !isOver; page = (page % 11) + 1) {
        const rows = await store.feed.read(after, page);
        seen.push(...rows);
        after = rows.at(-1)?.at ?? after;
      }
    })();
    const quick = Array.from({ length: 4 }, async (_, lane) => {
      for (let turn = 0; turn < slow * 15; turn++) {
        const id = `${lane}-${turn % 5}`;
        const unit = unitOf("long", id, { expectedVersion: null, body: String(turn) });
        await store.commitBatch(
          lane,
          [{ ...unit, scope: `scope ${(lane + turn) % 4}` }].map(ownScope),
          true,
        );
        commits++;
      }
    });
    const held = Array.from({ length: 4 }, async (_, number) => {
      const client = await bench.connect();
      for (let turn = 0; turn < slow; turn++) {
        const from = commits;
        await client.query("begin");
        await client.query("select pg_current_xact_id()"); // old from here on, long before it writes
        await until(() => commits >= from + number * 2 || commits === slow * 60);
        await client.query(`select agent_state_api.commit($1)`, [
          JSON.stringify({
            namespace: "long",
            scope: `scope ${number}`,
            changes: [{ id: `held-${number}`, type: "note", data: turn }],
          }),
        ]);
        // Others of this scope wait for the end of it, so it waits only for those of other scopes, and not for ever.
        const committed = commits;
        await until(() => commits > committed + 1, { timeoutMs: 100 }).catch(() => undefined);
        await client.query("commit");
      }
    });
    await Promise.all([...quick, ...held]);
    await settled(bench);
    const total = slow * 64;
    // The head may have been behind the last rows of the test before: an old transaction somewhere hides them.
    const ours = (): FeedRow[] => seen.filter(({ namespace }) => namespace === "long");
    await until(() => ours().length >= total);
    isOver = true;
    await reading;
    checkFeedOrder(seen);
    const names = ours().map(({ id, version }) => `${id}@${version}`);
    const disk = await bench.sql<{ name: string }>(
      `select s.id || '@' || c.version as name from agent_state.changes c join agent_state.states s using (state_no) where s.namespace = 'long'`,
    );
    expect(names.toSorted()).toEqual(disk.map(({ name }) => name).toSorted());
    expect(names).toHaveLength(total);
    await auditDatabase(bench, "long");
  });
});

/** A state stays in its first scope: its id says which. */
function ownScope(unit: PreparedUnit): PreparedUnit {
  const [change] = unit.changes;
  return { ...unit, changes: [{ ...change!, id: `${unit.scope!} ${change!.id}` }] };
}

function unitOf(
  namespace: string,
  id: string,
  change: { readonly expectedVersion: bigint | null; readonly body: string },
): PreparedUnit {
  return {
    namespace,
    scope: null,
    changes: [
      { op: "update", id, type: "note", phase: null, basedOn: null, expiresAt: null, ...change },
    ],
    expectedStep: null,
    actor: null,
    cause: null,
    idempotencyKey: null,
  };
}
