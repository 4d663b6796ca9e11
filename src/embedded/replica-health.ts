/** What main and the log of the replica tell of how it follows. */
export interface ReplicaFacts {
  /** Whether main still keeps the log that the replica has not had. */
  readonly slot: "missing" | "lost" | "held";
  readonly isStreaming: boolean;
  /** Up to where it has replayed main's log; empty where that is not known. */
  readonly replayed: string;
  /** How much of main's log it has yet to replay; below 0 where it is not main's log. */
  readonly behindBytes: number;
  /** Somebody wants it to stand still. */
  readonly isPaused: boolean;
  /** The replica says in its log that it cannot go on. */
  readonly complains: boolean;
}

/** A restarted main answers before its replica has found it again. */
const DISCONNECTED_MS = 15_000;
/** Far above how long a read on the replica may hold replay up. */
const STUCK_MS = 60_000;
/** Standing still with so much to do is no pause between two records. */
const STUCK_BYTES = 1024 * 1024;

/** Why main cannot give it what it needs to follow; nothing where it can. */
export function whyNotKept({ slot }: Pick<ReplicaFacts, "slot">): string | undefined {
  if (slot === "missing") return "main keeps no log for it";
  if (slot === "lost") return "it was away for so long that main gave up keeping its log";
  return undefined;
}

/** Watches a replica's progress, and finds the moment when it will make none any more. */
export class ReplicaHealth {
  #connectedAtMs: number;
  #movedAtMs: number;
  #replayed = "";

  constructor(nowMs: number) {
    this.#connectedAtMs = nowMs;
    this.#movedAtMs = nowMs;
  }

  /** Why it has to be copied anew; nothing while it follows, or may yet. */
  judge(facts: ReplicaFacts, nowMs: number): string | undefined {
    const unkept = whyNotKept(facts);
    if (unkept !== undefined) return unkept;
    if (facts.behindBytes < 0) return "it has what main does not have";
    const isMoving = facts.replayed !== this.#replayed || facts.behindBytes === 0 || facts.isPaused;
    this.#replayed = facts.replayed;
    if (facts.isStreaming) this.#connectedAtMs = nowMs;
    if (!facts.isStreaming || isMoving) this.#movedAtMs = nowMs;
    if (facts.complains && nowMs - this.#connectedAtMs > DISCONNECTED_MS) {
      return "main answers, and it cannot follow";
    }
    const hasReason = facts.complains || facts.behindBytes >= STUCK_BYTES;
    if (hasReason && nowMs - this.#movedAtMs > STUCK_MS) return "it does not move on";
    return undefined;
  }

  /** Main could not be asked: that says nothing of the replica. */
  excuse(nowMs: number): void {
    this.#connectedAtMs = nowMs;
    this.#movedAtMs = nowMs;
  }
}
