import { setTimeout as sleep } from "node:timers/promises";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { StateFace } from "../../src/state/face.ts";
import type { CallOptions, Changeset } from "../../src/state/request.ts";
import type { Written } from "../../src/state/state.ts";

/** How long a caller that must have an answer waits before it asks again. */
const PAUSE_MS = 100;

/** What a retry after the faults may take: a busy machine is no fault. */
const RETRY: CallOptions = { timeoutMs: 60_000 };

/** As many as a program retries at once that does not want to be refused for it. */
const RETRIERS = 128;

/** A changeset whose every retry is known by its key. */
export type KeyedChangeset = Changeset & { readonly idempotencyKey: string };

/** What its caller was told of a write. */
type Told = { readonly changes: readonly Pick<Written, "id" | "version" | "step">[] };

/** One write, from before it was sent to what its caller was told. */
export interface Attempt {
  readonly changeset: KeyedChangeset;
  /** `denied`: told that it did not happen. `open`: told that it may have, or not answered yet. */
  fate: "open" | "acknowledged" | "denied";
  committed?: Told;
  /** When its caller was told of it. */
  toldAt?: number;
  /** What it was told last, where that was a failure. */
  failure?: string;
}

/** What callers were told, against which a database can be judged. */
export class Ledger {
  readonly attempts: Attempt[] = [];
  /** Answers that no fault explains. */
  readonly unexpected: string[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #counts = { acknowledged: 0, failed: 0 };
  #slowestMs = 0;

  /** Writes that were acknowledged. */
  get acknowledged(): number {
    return this.#counts.acknowledged;
  }

  /** Milliseconds of the call that took longest. */
  get slowestMs(): number {
    return Math.round(this.#slowestMs);
  }

  /** Writes that have to be repeated to be sure of them. */
  get unsettled(): readonly Attempt[] {
    return this.attempts.filter(({ fate }) => fate !== "acknowledged");
  }

  /** Sends one write and keeps what its caller is told. Never throws; true: it was acknowledged. */
  async write(
    face: StateFace,
    changeset: KeyedChangeset,
    call: CallOptions = {},
  ): Promise<boolean> {
    const attempt: Attempt = { changeset, fate: "open" };
    this.attempts.push(attempt);
    return this.#send(face, attempt, call);
  }

  /** Sends one write to the faces in turn until it is acknowledged; throws what no fault explains. */
  async insist(
    faces: readonly StateFace[],
    changeset: KeyedChangeset,
    call: CallOptions,
  ): Promise<Told> {
    const attempt: Attempt = { changeset, fate: "open" };
    this.attempts.push(attempt);
    for (let turn = 0; !(await this.#send(faces[turn % faces.length]!, attempt, call)); turn += 1) {
      if (this.unexpected.length > 0) throw new Error(this.unexpected[0]);
      await sleep(PAUSE_MS);
    }
    return attempt.committed!;
  }

  /** Keeps a write of another process: acknowledged so, or nobody knows. */
  enter(changeset: KeyedChangeset, told?: Told): void {
    if (told === undefined) {
      this.attempts.push({ changeset, fate: "open" });
      return;
    }
    this.attempts.push({ changeset, fate: "acknowledged", committed: told });
    this.#counts.acknowledged += 1;
  }

  /** Keeps how long a read took, and an answer that no fault explains; true: it was answered. */
  async read(run: () => Promise<unknown>): Promise<boolean> {
    const from = performance.now();
    try {
      await run();
      return true;
    } catch (error) {
      const code = error instanceof AgentRuntimeError ? error.code : "";
      if (code !== "UNAVAILABLE" && code !== "STATE_NOT_FOUND") this.unexpected.push(String(error));
      return false;
    } finally {
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - from);
    }
  }

  /** Repeats every write that is not acknowledged, each with its own key and content. */
  async retryUnsettled(face: StateFace): Promise<void> {
    const left = [...this.unsettled];
    const retryAll = async (): Promise<void> => {
      for (let next = left.pop(); next; next = left.pop()) await this.#send(face, next, RETRY);
    };
    await Promise.all(Array.from({ length: RETRIERS }, retryAll));
  }

  /** Resolves when that many more calls have ended so than now. */
  async more(count: number, how: "acknowledged" | "failed" = "acknowledged"): Promise<void> {
    const goal = this.#counts[how] + count;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#counts[how] < goal) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  async #send(face: StateFace, attempt: Attempt, call: CallOptions): Promise<boolean> {
    const from = performance.now();
    try {
      attempt.committed = await face.commit(attempt.changeset, call);
      attempt.toldAt = Date.now();
      attempt.fate = "acknowledged";
      delete attempt.failure;
    } catch (error) {
      attempt.fate = this.#fateOf(error);
      attempt.failure = String(error);
    }
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - from);
    const isDone = attempt.fate === "acknowledged";
    this.#counts[isDone ? "acknowledged" : "failed"] += 1;
    for (const look of this.#watchers) look();
    return isDone;
  }

  #fateOf(error: unknown): "open" | "denied" {
    const isOurs = error instanceof AgentRuntimeError;
    if (!isOurs || (error.code !== "UNAVAILABLE" && error.code !== "CANCELED")) {
      this.unexpected.push(isOurs ? `${error.code}: ${error.message}` : String(error));
      return "open";
    }
    const { mayHaveHappened } = error.facts;
    if (mayHaveHappened === undefined) this.unexpected.push(`does not say: ${error.message}`);
    return mayHaveHappened === false ? "denied" : "open";
  }
}
