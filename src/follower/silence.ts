import { systemClock } from "../service/clock.ts";
import type { FollowerOptions } from "./follower.ts";

type Copies = FollowerOptions["copies"];

/** No answer for so long, and the rollback database is said not to answer, though the call goes on. */
const SILENT_MS = 3_000;

/** Knows how long the rollback database has owed an answer. */
export class Silence {
  readonly #silentMs: number;
  #since: number | undefined;

  constructor(silentMs = SILENT_MS) {
    this.#silentMs = silentMs;
  }

  /** Why it is not well; undefined: it answers, or nothing was asked. */
  get reason(): string | undefined {
    if (this.#since === undefined) return undefined;
    const silentMs = systemClock.monotonicMs() - this.#since;
    if (silentMs < this.#silentMs) return undefined;
    return `The rollback database has not answered for ${Math.floor(silentMs / 1_000)} s.`;
  }

  /** One call at a time. */
  async during<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    this.#since = systemClock.monotonicMs();
    try {
      return await call();
    } finally {
      this.#since = undefined;
    }
  }

  /** The same copies, listened to. */
  over(copies: Copies): Copies {
    return {
      takeLease: (holder, ttlMs) => this.during(() => copies.takeLease(holder, ttlMs)),
      releaseLease: (epoch) => this.during(() => copies.releaseLease(epoch)),
      begin: (epoch, at) => this.during(() => copies.begin(epoch, at)),
      follow: (epoch, page) => this.during(() => copies.follow(epoch, page)),
      fill: (epoch, page, walk) => this.during(() => copies.fill(epoch, page, walk)),
      toRebuild: (limit) => this.during(() => copies.toRebuild(limit)),
      status: () => this.during(() => copies.status()),
    };
  }
}
