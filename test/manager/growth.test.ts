import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Written } from "../../src/state/state.ts";
import { testHomes } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

const turns = 2_000;
/** Versions that are read back. */
const samples = proofLength({ short: 12, full: 200 });

type Message = Readonly<Record<string, string | number>>;

/** One way to write a conversation down, turn by turn. */
type Way = (manager: StateManager, id: string, turn: number) => Promise<Written>;

const ways: Readonly<Record<string, Way>> = {
  "by append": (manager, id, turn) => manager.appendState(id, "/messages", [messageOf(turn)]),
  "as the whole document": (manager, id, turn) => manager.updateState(id, "note", documentAt(turn)),
  "by append, with merges between": async (manager, id, turn) => {
    const written = await manager.appendState(id, "/messages", [messageOf(turn)]);
    return turn % 10 === 0 ? manager.mergeState(id, { usage: { turn } }) : written;
  },
};

// On one home: what is stored is the same bytes on each.
describe("a conversation of 2,000 turns", () => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await openBench(testHomes().find(({ name }) => name === "embedded")!);
  });

  afterAll(() => bench.close());

  test.each(Object.keys(ways))(
    "written %s costs what was said, early and late, and every version reads right",
    async (name) => {
      const manager = bench.openManager();
      const id = name.replaceAll(" ", "-");
      await manager.updateState(id, "note", documentAt(0));
      const versionOf = new Map<number, bigint>([[0, 1n]]);
      for (let turn = 1; turn <= turns; turn++) {
        versionOf.set(turn, (await ways[name]!(manager, id, turn)).version);
      }
      const stored = await bench.sql<{ version: string; stored: string; bytes: number }>(
        `select c.version, c.stored, octet_length(c.body::text) as bytes from agent_state.changes c
         join agent_state.states s using (state_no) where s.id = $1 order by c.version`,
        [id],
      );
      const said = Buffer.byteLength(JSON.stringify(documentAt(turns)));
      const perTurn = (from: number, to: number): number => {
        const rows = stored.slice(Number(versionOf.get(from)), Number(versionOf.get(to)));
        return (
          rows.filter((row) => row.stored === "d").reduce((sum, row) => sum + row.bytes, 0) /
          (to - from)
        );
      };
      expect(perTurn(1_900, 2_000)).toBeLessThanOrEqual(perTurn(100, 200) * 1.2);
      // A full copy comes when the deltas since the last one outweigh it: each is nearly twice the one
      // before, so that all of them together cost little more than the newest two.
      const copies = stored.filter((row) => row.stored === "f" && row.bytes > 4_096);
      expect(copies.length).toBeGreaterThan(3);
      copies
        .slice(1)
        .forEach(({ bytes }, index) => expect(bytes).toBeGreaterThan(copies[index]!.bytes * 1.6));
      // So what was spent up to any turn is in proportion to what was said up to it. (Documents of up to
      // 2 KiB are kept whole each time: no more than 32 KiB in all.)
      const spent = stored.map((row) => row.bytes);
      for (let turn = 100; turn <= turns; turn += 50) {
        const up = spent
          .slice(0, Number(versionOf.get(turn)))
          .reduce((sum, bytes) => sum + bytes, 0);
        expect(up / turn).toBeLessThan((4 * said) / turns + 32_768 / turn);
      }
      await readBack(manager, id, versionOf);
    },
    120_000,
  );

  async function readBack(
    manager: StateManager,
    id: string,
    versionOf: ReadonlyMap<number, bigint>,
  ): Promise<void> {
    const merges = id.includes("merge");
    const took: number[] = [];
    for (let sample = 0; sample < samples; sample++) {
      const turn = Math.floor((sample * turns) / (samples - 1));
      const from = performance.now();
      const state = await manager.getState(id, { version: versionOf.get(turn)! });
      took.push(performance.now() - from);
      expect(state.data).toEqual(documentAt(turn, merges));
    }
    // Putting a document together takes a time that is bounded, not one that grows with every turn.
    expect(Math.max(...took)).toBeLessThan(10_000);
  }
});

function documentAt(
  turn: number,
  merges = false,
): { messages: Message[]; usage?: { turn: number } } {
  const messages = Array.from({ length: turn }, (_, index) => messageOf(index + 1));
  const usage = merges && turn >= 10 ? { usage: { turn: turn - (turn % 10) } } : {};
  return { messages, ...usage };
}

/** A short one, so that what a change costs beside its text counts; never the same twice. */
function messageOf(turn: number): Message {
  const words = Array.from({ length: 4 }, (_, i) =>
    ((turn * 7_919 + i * 104_729) % 1_000_003).toString(36),
  );
  return { role: turn % 2 === 0 ? "user" : "assistant", turn, content: words.join(" ") };
}

test("patches of many operations are put together again once at most", async () => {
  const bench = await openBench(testHomes().find(({ name }) => name === "embedded")!);
  onTestFinished(() => bench.close());
  const manager = bench.openManager();
  const items = Array.from({ length: 5_000 }, (_, n) => ({ n, text: "x".repeat(100) }));
  await manager.updateState("patched", "note", { items });
  for (let round = 1; round <= 4; round++) {
    const patch = Array.from({ length: 1_000 }, (_, n) => {
      return { op: "replace", path: `/items/${n * 5}/n`, value: round } as const;
    });
    await manager.patchState("patched", patch);
  }
  const stored = await bench.sql<{ stored: string }>(
    `select c.stored from agent_state.changes c join agent_state.states s using (state_no)
      where s.id = 'patched' order by c.version`,
  );
  expect(stored.map((row) => row.stored).join("")).toBe("fdfdf");
  expect((await manager.history("patched")).items).toHaveLength(5);
});
