import fc from "fast-check";
import { expect } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Json } from "../../src/state/json.ts";
import type { State } from "../../src/state/state.ts";

/** One call; those of a group run at once. */
export interface Call {
  readonly who: 0 | 1;
  readonly id: number;
  readonly what: "write" | "merge" | "read" | "read the other's";
}

const call: fc.Arbitrary<Call> = fc.record({
  who: fc.constantFrom(0, 1),
  id: fc.nat(2),
  what: fc.constantFrom("write", "merge", "read", "read", "read the other's"),
});

/** Calls that run at once, one group after the other. */
export const group = fc.array(call, { minLength: 1, maxLength: 6 });

export const groups = fc.array(group, {
  minLength: 1,
  maxLength: 12,
});

const long = "x".repeat(3_000); // long enough that an update travels as a delta

/** What one caller does, at two processes, and what it may expect of them. */
export class Session {
  readonly #managers: readonly [StateManager, StateManager];
  readonly #namespace: string;
  /** The newest version that each process acknowledged, by id; and what every version holds. */
  readonly #acknowledged = [new Map<string, bigint>(), new Map<string, bigint>()] as const;
  readonly #contents = new Map<string, Json>();
  #turn = 0;

  constructor(managers: readonly [StateManager, StateManager], namespace: string) {
    this.#managers = managers;
    this.#namespace = namespace;
  }

  async play(group: readonly Call[]): Promise<void> {
    const before = this.#acknowledged.map((versions) => new Map(versions));
    const reads: State[] = [];
    await Promise.all(
      group.map(async ({ who, id: number, what }) => {
        const id = `s${number}`;
        const { namespace } = this.#here();
        const manager = this.#managers[who];
        if (what === "write" || what === "merge") return this.#write(who, id, what);
        const other = what === "read" ? undefined : before[1 - who]!.get(id);
        const options = { namespace, ...(other === undefined ? {} : { minVersion: other }) };
        const state = await manager.getState(id, options).catch(notThere);
        const own = before[who]!.get(id) ?? 0n;
        const least = other !== undefined && other > own ? other : own;
        expect(state?.version ?? 0n).toBeGreaterThanOrEqual(least);
        if (state !== null) reads.push(state);
      }),
    );
    // Concurrent merges have no content that is known beforehand; what was read tells.
    for (const { id, version, data } of reads) {
      const known = this.#contents.get(`${id}@${version}`);
      if (known !== undefined) expect(data).toEqual(known);
    }
  }

  /** What either process keeps is what is on disk, dates and digests too. */
  async compareWithDisk(): Promise<void> {
    const { namespace } = this.#here();
    for (const manager of this.#managers) {
      for (const id of ["s0", "s1", "s2"]) {
        const kept = await manager.getState(id, { namespace }).catch(notThere);
        const disk = await manager
          .getState(id, { namespace, version: kept?.version ?? 1n })
          .catch(notThere);
        if (kept !== null) expect(kept).toEqual(disk);
        const strong = await manager
          .getState(id, { namespace, consistency: "strong" })
          .catch(notThere);
        if (strong?.version === kept?.version) expect(kept).toEqual(strong);
      }
    }
  }

  async #write(who: 0 | 1, id: string, what: "write" | "merge"): Promise<void> {
    const { namespace } = this.#here();
    const manager = this.#managers[who];
    const turn = ++this.#turn;
    const data = { long, turn };
    const written =
      what === "write"
        ? await manager.updateState(id, "note", data, { namespace })
        : await manager.mergeState(id, { turn }, { namespace }).catch(notThere);
    if (written === null) return;
    this.#contents.set(`${id}@${written.version}`, data);
    const versions = this.#acknowledged[who];
    if ((versions.get(id) ?? 0n) < written.version) versions.set(id, written.version);
  }

  #here(): { readonly namespace: string } {
    return { namespace: this.#namespace };
  }
}

function notThere(error: { readonly code?: string }): null {
  if (error.code !== "STATE_NOT_FOUND") throw error as Error;
  return null;
}
