import { expect, onTestFinished, test, vi } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { judge, SOUND } from "../fault/judge.ts";
import { Ledger } from "../fault/ledger.ts";
import { randomFrom } from "../fault/random.ts";
import { proofLength } from "../support/length.ts";
import { openSql } from "../support/sql.ts";
import type { SqlPool } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { changeName, Journal } from "./journal.ts";
import type { Entry } from "./journal.ts";
import { suffer } from "./mortals.ts";
import type { Fault, Mortal, MortalProcess } from "./mortals.ts";
import { openPlace } from "./place.ts";
import { makeUpdates } from "./updates.ts";

const LENGTH = proofLength({
  short: { updates: 300, scopes: 40, writers: 16, invisibleMs: 2_000, ownsRocketmq: false },
  full: { updates: 100_000, scopes: 5_000, writers: 128, invisibleMs: 10_000, ownsRocketmq: true },
});
const SEED = 20_261_127;
/** A consumer that lags behind still gets all: how long it may take after the last update. */
const DRAINED_MS = proofLength({ short: 90_000, full: 300_000 });
const FAULTS = 20;
const SHOWN = 5;

vi.setConfig({ testTimeout: proofLength({ short: 180_000, full: 1_500_000 }) });

/** Each of them killed and frozen, and some again; one that is frozen may be longer so than its lease or its calls last. */
function manyFaults(names: readonly string[], random: (below: number) => number): Fault[] {
  const each = names.flatMap((name): Fault[] => [
    { name, how: "killed", forMs: random(3_000) },
    { name, how: "frozen", forMs: 2_000 + random(name.includes("service") ? 18_000 : 6_000) },
  ]);
  const again = Array.from({ length: FAULTS - each.length }, () => each[random(each.length)]!);
  const left = [...each, ...again];
  return Array.from({ length: FAULTS }, () => left.splice(random(left.length), 1)[0]!);
}

/** Broker and proxy have `test/rocketmq/faults.test.ts` besides. */
const FEW_FAULTS: readonly Fault[] = [
  { name: "one service", how: "killed", forMs: 0 },
  { name: "consumer", how: "killed", forMs: 0 },
  { name: "cache", how: "killed", forMs: 0 },
];

test("whoever is killed or frozen, a consumer builds from messages what main has: every change, in order, none invented", async (context) => {
  const place = await openPlace(context, LENGTH);
  const [first, second] = place.urls.map((url) => HttpStateClient.open({ url }));
  const faces = [first!, second!] as const;
  onTestFinished(async () => void (await Promise.all(faces.map((face) => face.close()))));
  const random = randomFrom(SEED);
  const ledger = new Ledger();
  const names = Object.keys(place.mortals);
  const faults = proofLength({ short: FEW_FAULTS, full: manyFaults(names, random) });

  const from = performance.now();
  let over = 0;
  const share = LENGTH.updates / (faults.length + 1);
  const making = makeUpdates({
    ...LENGTH,
    ledger,
    faces,
    random,
    mayMake: () => (over + 2) * share, // so that each fault comes while updates are made
  });
  const harming = harm(place.mortals, faults, {
    mayBegin: (index) => ledger.acknowledged >= share * (index + 0.5) && over === index,
    onOver: () => void (over += 1),
  });
  await Promise.all([making, harming]);
  const seconds = (performance.now() - from) / 1_000;

  const journal = new Journal(place.journal);
  const main = open(place.databaseUrl);
  const { changes, states } = await readMain(main);
  await until(() => journal.read().changes.size >= changes.length, {
    what: "every change at the consumer",
    timeoutMs: DRAINED_MS,
  }).catch(() => undefined); // what is missing is named below
  const drainSeconds = (performance.now() - from) / 1_000 - seconds;
  await compareDocuments(journal, first!);
  for (const process of [place.consumer, ...place.services]) await endWell(process);
  journal.read();

  const known = new Set(changes);
  expect(changes.filter((change) => !journal.changes.has(change)).slice(0, SHOWN)).toEqual([]);
  expect([...journal.changes].filter((change) => !known.has(change)).slice(0, SHOWN)).toEqual([]);
  expect(journal.faults.slice(0, SHOWN)).toEqual([]);
  const built = [...journal.states.values()].map(changeName);
  expect(built.toSorted()).toEqual(states.toSorted());
  expect(await judge({ connectionString: place.databaseUrl }, ledger)).toEqual(SOUND);
  expect(ledger.acknowledged).toBe(LENGTH.updates);

  const dropped = droppedBy(place.consumer);
  console.log(
    `travel: ${LENGTH.updates} updates (${changes.length} changes, ${states.length} states) at ${Math.round(LENGTH.updates / seconds)}/s, ` +
      `${faults.length} faults, ${dropped + journal.again} duplicates (${dropped} dropped by the library, ${journal.again} handed on again), ` +
      `drained ${drainSeconds.toFixed(1)} s after the last; slowest call ${ledger.slowestMs} ms`,
  );
});

async function harm(
  mortals: Readonly<Record<string, Mortal>>,
  faults: readonly Fault[],
  options: { readonly mayBegin: (index: number) => boolean; readonly onOver: () => void },
): Promise<void> {
  for (const [index, fault] of faults.entries()) {
    await until(() => options.mayBegin(index), { timeoutMs: 300_000 });
    await suffer(mortals[fault.name]!, fault);
    options.onOver();
  }
}

function open(url: string): SqlPool {
  const main = openSql(url);
  onTestFinished(() => main.close());
  return main;
}

const KINDS = "case c.kind when 'u' then 'update' when 'd' then 'delete' else c.kind::text end";
const CHANGES = `
  select o.scope, c.step::text, s.id, c.version::text, ${KINDS} as kind, encode(c.digest, 'hex') as digest,
         c.version = s.version as "isNewest"
    from agent_state.changes c
    join agent_state.states s using (state_no)
    join agent_state.scopes o on o.scope_no = c.scope_no`;

/** What main has: its changes, and where every state stands. */
async function readMain(main: SqlPool): Promise<{ changes: string[]; states: string[] }> {
  const rows = await main.sql<Entry & { readonly isNewest: boolean }>(CHANGES);
  const states = rows.filter(({ isNewest }) => isNewest);
  return { changes: rows.map(changeName), states: states.map(changeName) };
}

/** The documents too are what main has. */
async function compareDocuments(journal: Journal, face: HttpStateClient): Promise<void> {
  const left = [...journal.states.values()].filter(({ kind }) => kind !== "delete");
  const look = async (): Promise<void> => {
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      const { data, version } = await face.getState(one.id, { consistency: "strong" });
      expect([one.id, String(version), data]).toEqual([one.id, one.version, one.data]);
    }
  };
  await Promise.all(Array.from({ length: 16 }, look));
}

/** It lived to here, and ends when it is asked to. */
async function endWell({ child }: MortalProcess): Promise<void> {
  expect(await child.kill("SIGTERM"), child.stderr).toEqual({ code: 0, signal: null });
}

/** Duplicates that the library dropped, over all lives of the consumer. */
function droppedBy({ former, child }: MortalProcess): number {
  const counts = [...former, child].map(({ stdout }) => /(\d+)\n*$/.exec(stdout)?.[1]);
  return counts.reduce((sum, count) => sum + Number(count ?? 0), 0);
}
