import { AgentRuntimeError } from "./errors.ts";
import type { SessionToken } from "./request.ts";
import type { Step, Version } from "./state.ts";

/** A session remembers its newest writes only, and that there were more. */
export const MAX_ENTRIES = 50;

/** Proxies refuse long headers: half of the usual 8 KiB. */
const MAX_CHARS = 4096;

const ENTRY = /^([^/@,]+)\/([^/@,]+)@([1-9][0-9]{0,18})(?::([1-9][0-9]{0,18})(?:\/([^/@,]+))?)?$/;

/** Stands first where the session wrote or saw more than is told. No namespace has its name. */
export const CUT: SessionToken = { namespace: "*", id: "*", version: 1n };

/**
 * The header text of what a session wrote or saw, given newest last.
 *
 * Callers of the API treat it as opaque. It is `namespace/id@version:step/scope`, each name percent-encoded,
 * the scope left out where it is the id; entries are joined by commas. Where it would grow too long, the
 * oldest are left out, and it says so.
 */
export function formatSessionToken(entries: readonly SessionToken[]): string {
  const mark = formatEntry(CUT);
  let text = "";
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = formatEntry(entries[i]!);
    const isCutHere =
      i < entries.length - MAX_ENTRIES || text.length + entry.length + mark.length + 2 > MAX_CHARS;
    if (isCutHere)
      return isCut(entries.slice(i + 1)) ? text : text === "" ? mark : `${mark},${text}`;
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
  if (entries.length === 0 || entries.length > MAX_ENTRIES + 1) throw invalid();
  return entries.map(parseEntry);
}

/** The same session after it wrote or saw one more version. */
export function rememberVersion(
  entries: readonly SessionToken[],
  seen: SessionToken,
): SessionToken[] {
  const before = entries.findLast((entry) => isSame(entry, seen));
  const newest = before !== undefined && before.version > seen.version ? before : entryOf(seen);
  const others = entries.filter((entry) => !isSame(entry, seen) && !isSame(entry, CUT));
  const kept = [...others, newest].slice(-MAX_ENTRIES);
  return isCut(entries) || kept.length <= others.length ? [CUT, ...kept] : kept;
}

/** Whether the session wrote or saw more than it tells: then a copy may not have what it does not name. */
export function isCut(entries: readonly SessionToken[]): boolean {
  return entries.some((entry) => isSame(entry, CUT));
}

/**
 * The steps that the session knows of in a namespace, or in one scope of it; null where it does not
 * know them all.
 */
export function stepsSeen(
  entries: readonly SessionToken[],
  namespace: string,
  scope?: string,
): { readonly namespace: string; readonly scope: string; readonly step: Step }[] | null {
  if (isCut(entries)) return null;
  const steps: { namespace: string; scope: string; step: Step }[] = [];
  for (const entry of entries) {
    if (entry.namespace !== namespace) continue;
    if (entry.scope === undefined || entry.step === undefined) return null;
    if (scope === undefined || entry.scope === scope)
      steps.push({ namespace, scope: entry.scope, step: entry.step });
  }
  return steps;
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

/** Without what a state or a result has beside. */
function entryOf({ namespace, id, version, scope, step }: SessionToken): SessionToken {
  return {
    namespace,
    id,
    version,
    ...(scope === undefined || step === undefined ? {} : { scope, step }),
  };
}

function formatEntry({ namespace, id, version, scope, step }: SessionToken): string {
  const state = `${encodeURIComponent(namespace)}/${encodeURIComponent(id)}@${version}`;
  if (scope === undefined || step === undefined) return state;
  return scope === id ? `${state}:${step}` : `${state}:${step}/${encodeURIComponent(scope)}`;
}

function parseEntry(text: string): SessionToken {
  const parts = ENTRY.exec(text);
  if (parts === null) throw invalid();
  const [, namespace, encodedId, version, step, scope] = parts;
  try {
    const id = decodeURIComponent(encodedId!);
    return {
      namespace: decodeURIComponent(namespace!),
      id,
      version: BigInt(version!),
      ...(step === undefined
        ? {}
        : { scope: scope === undefined ? id : decodeURIComponent(scope), step: BigInt(step) }),
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
