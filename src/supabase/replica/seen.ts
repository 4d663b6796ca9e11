import type { ScopeKey, StateKey } from "../../state/ports.ts";
import type { Step, Version } from "../../state/state.ts";
import type { ScopeStep } from "../sql/copy-standing.ts";
import { laterPosition } from "./log-position.ts";

/** No state comes to this version, nor a scope to this step. */
const NEVER = 2n ** 63n - 1n;

/** States that are remembered at once, some 200 bytes each; with more, everything is read from main. */
const MAX_STATES = 50_000;

/** Scopes that one read demands of the replica; with more, it goes to main. */
const MAX_SCOPES = 200;

/** A version that was written or seen here; its scope and step where they are known. */
export interface SeenState extends StateKey {
  readonly version: Version;
  readonly scope?: string;
  readonly step?: Step;
}

/** What was seen between two moments. */
class Generation {
  readonly states = new Map<string, Version>();
  readonly scopes = new Map<string, ScopeStep>();
  /** More was seen than is remembered. */
  isFull = false;
  /** How far the replica was when it last answered a read. */
  position: string | null = null;
}

/**
 * What this process wrote or saw on main, and the replica may not have yet.
 *
 * It is kept in two generations: once the replica has replayed all that main had on disk when the older
 * one was closed, that one is forgotten.
 */
export class Seen {
  readonly #maxStates: number;
  #older: Generation | null = null;
  #newer = new Generation();
  /** What was forgotten is seen by whoever sees this position of main's log. */
  #settled: string | null = null;
  #asOfMs: number | undefined;

  constructor(maxStates = MAX_STATES) {
    this.#maxStates = maxStates;
  }

  /** Whether more was seen than is remembered: then no copy can be trusted. */
  get isFull(): boolean {
    return this.#newer.isFull || this.#older?.isFull === true;
  }

  get isEmpty(): boolean {
    return (
      this.#older === null &&
      this.#newer.scopes.size + this.#newer.states.size === 0 &&
      !this.isFull
    );
  }

  /**
   * The position of main's log that a read must see. A replica falls back where it crashed: it takes
   * reads again before it is where it was.
   */
  get position(): string | null {
    const newest = laterPosition(this.#newer.position, this.#older?.position ?? null);
    return laterPosition(newest, this.#settled);
  }

  /** A copy at `position` has all that main had at this time of the process's clock; undefined: nobody knows. */
  get asOfMs(): number | undefined {
    return this.#asOfMs;
  }

  /** The replica answered from this position. */
  notePosition(position: string): void {
    this.#newer.position = laterPosition(this.#newer.position, position);
  }

  noteState({ namespace, id, version, scope, step }: SeenState): void {
    const name = nameOf(namespace, id);
    const { states } = this.#newer;
    const known = states.get(name);
    if (known === undefined && states.size >= this.#maxStates) return this.noteAll();
    if (known === undefined || version > known) states.set(name, version);
    if (scope !== undefined && step !== undefined) this.noteScope({ namespace, scope, step });
  }

  noteScope(seen: ScopeStep): void {
    const { scopes } = this.#newer;
    const name = nameOf(seen.namespace, seen.scope);
    const known = scopes.get(name);
    if (known === undefined && scopes.size >= this.#maxStates) return this.noteAll();
    if (known === undefined || seen.step > known.step) scopes.set(name, seen);
  }

  /** A write of which nobody knows whether it happened: until the replica has come after, main alone can say. */
  noteDoubt({ namespace, id }: StateKey): void {
    // No scope has no name: the demand is never met.
    this.noteState({ namespace, id, version: NEVER, scope: "", step: NEVER });
  }

  /** The scope's status changed without a step: until the replica has come after, main alone can say. */
  noteStatus({ namespace, scope }: ScopeKey): void {
    this.noteScope({ namespace, scope, step: NEVER });
  }

  /** Anything may have changed. */
  noteAll(): void {
    this.#newer.states.clear();
    this.#newer.scopes.clear();
    this.#newer.isFull = true;
  }

  /** The version that a read of the state must not fall below; 0 where any will do. */
  leastVersion({ namespace, id }: StateKey): Version {
    const name = nameOf(namespace, id);
    const older = this.#older?.states.get(name) ?? 0n;
    const newer = this.#newer.states.get(name) ?? 0n;
    return newer > older ? newer : older;
  }

  /** The steps that a read of a scope, or of a whole namespace, must see; null where they are too many. */
  stepsIn(namespace: string, scope?: string): readonly ScopeStep[] | null {
    const found: ScopeStep[] = [];
    for (const generation of [this.#newer, this.#older]) {
      if (generation === null) continue;
      const { scopes } = generation;
      const one =
        scope === undefined
          ? undefined
          : [scope, ""].map((each) => scopes.get(nameOf(namespace, each)));
      for (const seen of one ?? scopes.values()) {
        if (seen === undefined || seen.namespace !== namespace) continue;
        if (found.length === MAX_SCOPES) return null;
        found.push(seen);
      }
    }
    return found;
  }

  /** Closes the generation. False: the one before it is not forgotten yet. */
  close(): boolean {
    if (this.#older !== null) return false;
    this.#older = this.#newer;
    this.#newer = new Generation();
    return true;
  }

  /** The replica, at this position, has all that was seen before the last `close`, and that main had at `asOfMs`. */
  forget(position: string, asOfMs: number): void {
    this.#older = null;
    this.#settled = position;
    this.#asOfMs = asOfMs;
  }
}

/** Neither holds control characters, so one can part the two. */
function nameOf(namespace: string, name: string): string {
  return `${namespace}\u001f${name}`;
}
