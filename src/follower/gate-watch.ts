import { systemClock } from "../service/clock.ts";
import type { ChangedGates, FollowedStore } from "../state/rollback-port.ts";

const PAGE = 1_000;

/** A gate is stamped when it changes and seen when that is committed: older stamps are looked at again, now and then. */
const OVERLAP_MS = 60_000;
const OVERLAP_EVERY_MS = 5_000;

/** Looks for gates that changed without a change in the feed: holds, releases, quarantine by hand. */
export class GateWatch {
  readonly #main: Pick<FollowedStore, "gatesChanged">;
  readonly #everyMs: number;
  /** By main's clock; at first all that ever changed. */
  #since = "-infinity";
  #lookAt = 0;
  #overlapAt = 0;

  constructor(main: Pick<FollowedStore, "gatesChanged">, everyMs: number) {
    this.#main = main;
    this.#everyMs = everyMs;
  }

  /** Everything counts as unseen again. */
  reset(): void {
    this.#since = "-infinity";
    this.#lookAt = 0;
  }

  /** The next look is due now. */
  poke(): void {
    this.#lookAt = 0;
  }

  /** Hands on what changed since the last look, where one is due; `take` answers false to stop. */
  async look(take: (changed: ChangedGates) => Promise<boolean>): Promise<void> {
    const now = systemClock.monotonicMs();
    if (now < this.#lookAt) return;
    let since = this.#since;
    if (now >= this.#overlapAt && since !== "-infinity") {
      since = new Date(new Date(since).getTime() - OVERLAP_MS).toISOString();
      this.#overlapAt = now + OVERLAP_EVERY_MS;
    }
    for (;;) {
      const changed = await this.#main.gatesChanged(since, PAGE);
      if (changed.until === null) break;
      if (!(await take(changed))) return;
      this.#since = since = changed.until;
      if (changed.gates.length < PAGE) break;
    }
    this.#lookAt = now + this.#everyMs;
  }
}
