import { CUT, formatSessionToken } from "../state/session-token.ts";
import type { SessionToken } from "../state/request.ts";

/** States that are remembered; what is beyond is told as unknown, and read from main. */
const MAX_STATES = 10_000;

/**
 * The newest version of each state that this client wrote or saw, the 10,000 last ones.
 *
 * Calls overlap, so the last token that the service gave does not hold what the others wrote:
 * the client keeps the versions itself and sends each read the one that matters to it.
 */
export class SessionMemory {
  readonly #maxStates: number;
  readonly #seen = new Map<string, SessionToken>();
  #isCut = false;

  constructor(maxStates = MAX_STATES) {
    this.#maxStates = maxStates;
  }

  /** The Session-Token for a read of this state; undefined where nothing is known of it. */
  tokenFor(namespace: string | undefined, id: string): string | undefined {
    const entry = this.#seen.get(keyOf(namespace, id)) ?? (this.#isCut ? CUT : undefined);
    return entry === undefined ? undefined : formatSessionToken([entry]);
  }

  /** The Session-Token for a read of many states: of a scope, or of the whole namespace. */
  tokenForMany(namespace: string | undefined, scope?: string): string | undefined {
    const newest = new Map<string, SessionToken>();
    const prefix = keyOf(namespace, "");
    for (const [key, entry] of this.#seen) {
      if (!key.startsWith(prefix) || (scope !== undefined && entry.scope !== scope)) continue;
      const before = newest.get(entry.scope ?? "");
      if (before === undefined || (before.step ?? 0n) <= (entry.step ?? 0n)) {
        newest.delete(entry.scope ?? "");
        newest.set(entry.scope ?? "", entry);
      }
    }
    const entries = [...(this.#isCut ? [CUT] : []), ...newest.values()];
    return entries.length === 0 ? undefined : formatSessionToken(entries);
  }

  /** Keeps a version that was seen, under the namespace that the call asked for. */
  note(namespace: string | undefined, seen: SessionToken): void {
    const key = keyOf(namespace, seen.id);
    const before = this.#seen.get(key);
    if (before !== undefined && before.version >= seen.version) return;
    const { namespace: found, id, version, scope, step } = seen;
    const at = scope === undefined || step === undefined ? {} : { scope, step };
    this.#seen.delete(key);
    this.#seen.set(key, { namespace: found, id, version, ...at });
    if (this.#seen.size <= this.#maxStates) return;
    this.#seen.delete(this.#seen.keys().next().value!);
    this.#isCut = true;
  }
}

function keyOf(namespace: string | undefined, id: string): string {
  return `${namespace ?? ""}/${id}`;
}
