import { AgentRuntimeError } from "./errors.ts";
import type { SessionToken } from "./request.ts";
import type { Version } from "./state.ts";

/** A session remembers its newest writes only; what is older has long reached every copy. */
export const MAX_ENTRIES = 50;

/** Proxies refuse long headers: half of the usual 8 KiB. */
const MAX_CHARS = 4096;

const ENTRY = /^[^/@,]+\/[^/@,]+@[1-9][0-9]{0,18}$/;

/**
 * The header text of what a session wrote or saw, given newest last.
 *
 * Callers of the API treat it as opaque. It is `namespace/id@version`, each part percent-encoded,
 * entries joined by commas; where it would grow too long, the oldest are left out.
 */
export function formatSessionToken(entries: readonly SessionToken[]): string {
  let text = "";
  for (let i = entries.length - 1; i >= 0 && i >= entries.length - MAX_ENTRIES; i--) {
    const entry = formatEntry(entries[i]!);
    if (text.length + 1 + entry.length > MAX_CHARS) break;
    text = text === "" ? entry : `${entry},${text}`;
  }
  return text;
}

/**
 * What a session wrote or saw, newest last.
 *
 * @throws {AgentRuntimeError} INVALID_REQUEST where the text did not come from this service.
 */
export function parseSessionToken(text: string): SessionToken[] {
  if (text === "") return [];
  const entries = text.length > MAX_CHARS ? [] : text.split(",");
  if (entries.length === 0 || entries.length > MAX_ENTRIES) throw invalid();
  return entries.map(parseEntry);
}

/** The same session after it wrote or saw one more version. */
export function rememberVersion(
  entries: readonly SessionToken[],
  seen: SessionToken,
): SessionToken[] {
  const others = entries.filter((entry) => !isSame(entry, seen));
  const before = versionSeen(entries, seen);
  const version = before !== undefined && before > seen.version ? before : seen.version;
  return [...others, { namespace: seen.namespace, id: seen.id, version }].slice(-MAX_ENTRIES);
}

/** The newest version of a state that the session wrote or saw, if it did. */
export function versionSeen(
  entries: readonly SessionToken[],
  state: { readonly namespace: string; readonly id: string },
): Version | undefined {
  return entries.findLast((entry) => isSame(entry, state))?.version;
}

function isSame(
  a: { readonly namespace: string; readonly id: string },
  b: { readonly namespace: string; readonly id: string },
): boolean {
  return a.id === b.id && a.namespace === b.namespace;
}

function formatEntry(entry: SessionToken): string {
  const namespace = encodeURIComponent(entry.namespace);
  return `${namespace}/${encodeURIComponent(entry.id)}@${entry.version}`;
}

function parseEntry(text: string): SessionToken {
  if (!ENTRY.test(text)) throw invalid();
  const slash = text.indexOf("/");
  const at = text.indexOf("@");
  try {
    return {
      namespace: decodeURIComponent(text.slice(0, slash)),
      id: decodeURIComponent(text.slice(slash + 1, at)),
      version: BigInt(text.slice(at + 1)),
    };
  } catch (cause) {
    throw invalid(cause);
  }
}

function invalid(cause?: unknown): AgentRuntimeError {
  return new AgentRuntimeError(
    "INVALID_REQUEST",
    "Session-Token is not one that this service gave; send the last one you got, or none",
    { field: "Session-Token", cause },
  );
}
