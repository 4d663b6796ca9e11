import { formatSessionToken } from "../state/session-token.ts";
import type { SessionToken } from "../state/request.ts";

/** Copies catch up within seconds; by the time this many others were seen, they have. */
const MAX_STATES = 10_000;

/**
 * The newest version of each state that this client wrote or saw, the 10,000 last ones.
 *
 * Calls overlap, so the last token that the service gave does not hold what the others wrote:
 * the client keeps the versions itself and sends each read the one that matters to it.
 */
export class SessionMemory {
  readonly #seen = new Map<string, SessionToken>();

  /** The Session-Token for a read of this state; undefined where nothing is known of it. */
  tokenFor(namespace: string | undefined, id: string): string | undefined {
    const entry = this.#seen.get(keyOf(namespace, id));
    return entry === undefined ? undefined : formatSessionToken([entry]);
  }

  /** Keeps a version that was seen, under the namespace that the call asked for. */
  note(namespace: string | undefined, { namespace: found, id, version }: SessionToken): void {
    const key = keyOf(namespace, id);
    const before = this.#seen.get(key);
    if (before !== undefined && before.version >= version) return;
    this.#seen.delete(key);
    this.#seen.set(key, { namespace: found, id, version });
    if (this.#seen.size > MAX_STATES) this.#seen.delete(this.#seen.keys().next().value!);
  }
}

function keyOf(namespace: string | undefined, id: string): string {
  return `${namespace ?? ""}/${id}`;
}
