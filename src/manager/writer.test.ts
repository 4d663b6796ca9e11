import { expect, test } from "vitest";
import type { ChangeRow, PreparedUnit } from "../state/ports.ts";
import type { Batcher, Ticket } from "./batcher.ts";
import { Directory } from "./directory.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { OwnWrites } from "./own-writes.ts";
import { prepareWrite } from "./prepare.ts";
import { Reader } from "./reader.ts";
import { StateCache } from "./state-cache.ts";
import { Writer } from "./writer.ts";

/** A double of the batcher: it says at once that everything was committed to scope `agent-1`. */
class DoubleBatcher implements Pick<Batcher, "add" | "drain"> {
  readonly sent: { scope: string; reserve: boolean }[] = [];

  add(unit: PreparedUnit, scope: string, reserve: boolean): Ticket {
    this.sent.push({ scope, reserve });
    const version = BigInt(this.sent.length);
    const row = { code: null, scope: "agent-1", version, created: version === 1n, at: new Date(0) };
    const rows = unit.changes.map(() => row as ChangeRow);
    return { rows: Promise.resolve(rows), cancel: () => false };
  }

  async drain(): Promise<void> {}
}

test("goes the way of a state's scope from the second write on, also where no document is kept", async () => {
  const batcher = new DoubleBatcher();
  const directory = new Directory();
  const cache = new StateCache({ entries: 0, bytes: 0 }, directory);
  const store = { find: () => Promise.resolve([]), readStep: () => Promise.resolve([]) };
  const reader = new Reader(store, cache);
  const writer = new Writer({
    batcher: batcher as unknown as Batcher,
    store,
    reader,
    cache,
    directory,
    ownWrites: new OwnWrites({ cache, directory, reader }),
    onCommitted: () => undefined,
  });
  const change = { op: "update", id: "task-1", type: "note", data: 1 } as const;
  for (let turn = 0; turn < 3; turn++) {
    await writer.writeOne(prepareWrite(change, {}, DEFAULT_LIMITS), {});
  }
  expect(batcher.sent).toEqual([
    { scope: "task-1", reserve: true },
    { scope: "agent-1", reserve: false },
    { scope: "agent-1", reserve: false },
  ]);
});
