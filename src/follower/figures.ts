import { systemClock } from "../service/clock.ts";
import type { CopyNeed, FeedPage, RollbackStatus } from "../state/rollback-port.ts";

/** ok: the copies hold all that main has. behind: not yet. waiting: another service follows. unavailable: see `reason`. */
export type FollowerHealth = "ok" | "behind" | "waiting" | "unavailable";

/** How the rollback database does, for people and metrics. */
export interface FollowerFigures {
  readonly health: FollowerHealth;
  /** How long ago, in milliseconds, main had nothing that the copies lack; null: they never had it all. */
  readonly lagMs: number | null;
  /** Changes that are not followed yet, counted up to 10,000. */
  readonly changesBehind: number;
  readonly scopes: number;
  readonly held: number;
  /** Copies that are not served, and those of them that somebody has to look at. */
  readonly broken: number;
  readonly suspect: number;
  /** Scopes of main that were copied so far, while not all were. */
  readonly copied?: number;
  readonly reason?: string;
}

const NOTHING: RollbackStatus = {
  scopes: 0,
  held: 0,
  broken: 0,
  suspect: 0,
  followedTo: null,
  settledAt: null,
  walking: false,
  holder: null,
  epoch: 0n,
  led: false,
};

/** What a follower remembers of how it went. */
export class FollowerState {
  health: FollowerHealth = "behind";
  reason: string | undefined;
  status: RollbackStatus = NOTHING;
  changesBehind = 0;
  copied = 0;
  walking = false;
  /** By this machine's steady clock, when the copies were last known to hold all, and how old they were then. */
  #settled: { readonly atMs: number; readonly ageMs: number } | undefined;

  /** A page was followed. */
  followed({ more, changes, readAt }: FeedPage): void {
    this.reason = undefined;
    if (!more) {
      this.health = "ok";
      this.changesBehind = 0;
      this.#settled = { atMs: systemClock.monotonicMs(), ageMs: 0 };
      return;
    }
    this.health = "behind";
    const newest = changes.at(-1);
    if (newest === undefined) return;
    const ageMs = Math.max(0, new Date(readAt).getTime() - new Date(newest.at).getTime());
    this.#settled = { atMs: systemClock.monotonicMs(), ageMs };
  }

  /** Copies broke. */
  broke(needs: readonly CopyNeed[]): void {
    const suspect = needs.filter(({ need }) => need === "suspect").length;
    const { status } = this;
    this.status = {
      ...status,
      broken: status.broken + needs.length,
      suspect: status.suspect + suspect,
    };
  }

  get figures(): FollowerFigures {
    const { health, reason, changesBehind } = this;
    const { scopes, held, broken, suspect } = this.status;
    return {
      health,
      lagMs: this.#lagMs(),
      changesBehind,
      scopes,
      held,
      broken,
      suspect,
      ...(this.walking ? { copied: this.copied } : {}),
      ...(reason === undefined ? {} : { reason }),
    };
  }

  #lagMs(): number | null {
    const { settledAt } = this.status;
    if (this.health === "waiting") {
      return settledAt === null ? null : Math.max(0, systemClock.now() - settledAt.getTime());
    }
    if (this.#settled === undefined || this.walking) return null;
    const sinceMs = this.health === "ok" ? 0 : systemClock.monotonicMs() - this.#settled.atMs;
    return Math.round(this.#settled.ageMs + sinceMs);
  }
}
