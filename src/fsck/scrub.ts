import type { Fault, FsckStore, RollbackCopy } from "../state/fsck-ports.ts";
import type { ScopeKey } from "../state/ports.ts";
import { MAIN_CHECKS } from "./checks.ts";
import { compareMemory, compareReplica } from "./copies.ts";
import type { Copies } from "./copies.ts";
import { compareFollower, compareRollback } from "./rollback-copies.ts";
import type { RollbackLook } from "./rollback-copies.ts";
import type { Statuses } from "./statuses.ts";

/** What one part of a scrub looked at. */
export interface Scrubbed {
  readonly checked: number;
  readonly faults: readonly Fault[];
}

export const NO_REPLICA = "there is no replica";
export const NO_ROLLBACK = "there is no rollback database";

type Part = "main" | "replica" | "rollback";

/** Goes over everything, page by page, and starts over at the end. Its place is kept in memory. */
export class Scrub {
  readonly #store: FsckStore;
  readonly #copies: Copies;
  readonly #boundMs: number;
  readonly #through = new Set<Part>();
  #state = 0n;
  #replica = 0n;
  #scope: ScopeKey | null = null;

  constructor(store: FsckStore, copies: Copies, boundMs: number) {
    this.#store = store;
    this.#copies = copies;
    this.#boundMs = boundMs;
  }

  /** The number of the state that it has looked at last; 0: it starts over. */
  get position(): bigint {
    return this.#state;
  }

  /** Whether it has been at the end of a part since it was made. */
  isThrough(part: Part): boolean {
    return this.#through.has(part);
  }

  startOver(): void {
    this.#state = 0n;
    this.#through.delete("main");
  }

  /** The next page of main's states. */
  async nextOfMain(limit: number, statuses: Statuses): Promise<Scrubbed> {
    let checked = 0;
    const faults = await statuses.run(MAIN_CHECKS, async () => {
      const page = await this.#store.checkStates(this.#state, limit);
      this.#state = page.next ?? 0n;
      if (page.next === null) this.#through.add("main");
      checked = page.checked;
      return page.faults;
    });
    return { checked, faults };
  }

  /** The next page of the replica's. */
  async nextOfReplica(limit: number, statuses: Statuses): Promise<Fault[]> {
    const { replica } = this.#copies;
    if (replica === null) return this.#missed("replica", statuses);
    return statuses.run(["C5"], async () => {
      const page = await compareReplica(this.#store, replica, { after: this.#replica, limit });
      this.#replica = page.next ?? 0n;
      if (page.next === null) this.#through.add("replica");
      return page.faults;
    });
  }

  /** The next scopes of the rollback database. */
  async nextOfRollback(limit: number, statuses: Statuses): Promise<Fault[]> {
    const { rollback } = this.#copies;
    if (rollback === null) return this.#missed("rollback", statuses);
    return statuses.run(["C6"], async () => {
      const page = { after: this.#scope, limit };
      const { next, faults } = await compareRollback(this.#look(rollback), page);
      this.#scope = next;
      if (next === null) this.#through.add("rollback");
      return faults;
    });
  }

  /** C7 and C15, which take no pages. */
  async rest(limit: number, statuses: Statuses): Promise<Fault[]> {
    const { memory, rollback } = this.#copies;
    const cached = await statuses.run(["C7"], () => compareMemory(this.#store, memory, { limit }));
    if (rollback === null) return cached;
    const follower = await statuses.run(["C15"], () => compareFollower(this.#look(rollback)));
    return [...cached, ...follower];
  }

  #look(rollback: RollbackCopy): RollbackLook {
    return { store: this.#store, rollback, boundMs: this.#boundMs };
  }

  #missed(part: Exclude<Part, "main">, statuses: Statuses): Fault[] {
    this.#through.add(part);
    if (part === "replica") statuses.missed(["C5"], NO_REPLICA);
    else statuses.missed(["C6", "C15"], NO_ROLLBACK);
    return [];
  }
}
