import { diffJson, keepsOrder } from "./diff.ts";
import { hasSameText } from "./equal.ts";
import { AgentRuntimeError } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { applyMerge } from "./merge.ts";
import { applyPatch } from "./patch.ts";
import { childOf, escapeToken, isArray, isObject, parsePointer } from "./pointer.ts";
import { quote } from "./quote.ts";
import type { PatchOperation } from "./state.ts";

/** How a change is kept where it is not a full copy. It is JSON, and stored as such. */
export interface Delta {
  /** An RFC 7396 merge patch, applied first. */
  readonly m?: Json;
  /** By JSON Pointer of an array: the items that are appended to it. */
  readonly a?: { readonly [pointer: string]: readonly Json[] };
  /** RFC 6902 operations, applied last. Beside a merge they do no more than set members of the document, so that they always apply. */
  readonly p?: readonly PatchOperation[];
}

/**
 * The document after a delta; parts that it does not touch are shared with the one before.
 *
 * @throws {AgentRuntimeError} INVALID_PATCH where it does not apply.
 */
export function applyDelta(document: Json, delta: Delta): Json {
  let after = delta.m === undefined ? document : applyMerge(document, delta.m);
  for (const [pointer, items] of Object.entries(delta.a ?? {})) {
    after = appended(after, parsePointer(pointer), { pointer, items });
  }
  return delta.p === undefined ? after : applyPatch(after, delta.p);
}

/** A delta as RFC 6902 operations, for those who know the document before it. */
export function deltaToPatch(before: Json, delta: Delta): PatchOperation[] {
  const operations: PatchOperation[] = [];
  if (delta.m !== undefined) addMergeOperations(before, delta.m, { path: "", operations });
  for (const [pointer, items] of Object.entries(delta.a ?? {})) {
    for (const value of items) operations.push({ op: "add", path: `${pointer}/-`, value });
  }
  operations.push(...(delta.p ?? []));
  return operations;
}

/**
 * A delta that leads from one document to exactly the text of the other, or null where only a full
 * copy does. Whether it is smaller is for the caller to weigh.
 *
 * Changed fields and arrays that grew at their end, the way of a conversation, give `m` and `a`.
 * What those cannot say (null, an item changed within a long array) gives `p`.
 */
export function deltaBetween(before: Json, after: Json): Delta | null {
  const growth: Growth = { appends: {}, rewrites: false };
  const merge = mergeBetween(before, after, { path: "", growth });
  const grown = merge === IMPOSSIBLE ? null : growthDelta(merge, growth);
  if (grown !== null && !growth.rewrites) return grown;
  const operations = diffJson(before, after, { keepsOrder: true });
  const patch = operations.some(({ path }) => path === "") ? null : { p: operations };
  if (grown === null || patch === null) return grown ?? patch;
  return JSON.stringify(grown).length <= JSON.stringify(patch).length ? grown : patch;
}

function appended(
  document: Json,
  tokens: readonly string[],
  append: { readonly pointer: string; readonly items: readonly Json[] },
): Json {
  const [token, ...rest] = tokens;
  if (token === undefined) {
    if (isArray(document)) return [...document, ...append.items];
    throw noArray(append.pointer);
  }
  const child = childOf(document, token);
  if (child === undefined) throw noArray(append.pointer);
  const grown = appended(child, rest, append);
  return isArray(document)
    ? document.with(Number(token), grown)
    : { ...(document as JsonObject), [token]: grown };
}

function noArray(pointer: string): AgentRuntimeError {
  const why = `there is no array at ${quote(pointer, 200)} to append to; create it first`;
  return new AgentRuntimeError("INVALID_PATCH", why);
}

function addMergeOperations(
  before: Json | undefined,
  patch: Json,
  { path, operations }: { readonly path: string; readonly operations: PatchOperation[] },
): void {
  if (!isObject(patch) || !isObject(before)) {
    const op = before === undefined ? "add" : "replace";
    operations.push({ op, path, value: applyMerge(undefined, patch) });
    return;
  }
  for (const [key, change] of Object.entries(patch)) {
    const place = `${path}/${escapeToken(key)}`;
    const value = Object.hasOwn(before, key) ? before[key] : undefined;
    if (change !== null) addMergeOperations(value, change, { path: place, operations });
    else if (value !== undefined) operations.push({ op: "remove", path: place });
  }
}

const IMPOSSIBLE = Symbol("no merge patch and appends lead there");

interface Growth {
  readonly appends: Record<string, readonly Json[]>;
  /** Whether an array that did not just grow is written anew. */
  rewrites: boolean;
}

interface Place {
  readonly path: string;
  readonly growth: Growth;
}

function growthDelta(merge: Json | undefined, { appends }: Growth): Delta {
  return {
    ...(merge === undefined ? {} : { m: merge }),
    ...(Object.keys(appends).length === 0 ? {} : { a: appends }),
  };
}

/** The merge patch for what did not just grow; undefined where that is nothing. */
function mergeBetween(
  before: Json,
  after: Json,
  { path, growth }: Place,
): Json | undefined | typeof IMPOSSIBLE {
  if (before === after) return undefined;
  if (isObject(before) && isObject(after)) return mergeObjects(before, after, { path, growth });
  if (isArray(before) && isArray(after)) {
    if (isPrefix(before, after)) {
      if (after.length > before.length) growth.appends[path] = after.slice(before.length);
      return undefined;
    }
    growth.rewrites = true;
  }
  // At the root it would be a full copy by another name; and null means "remove" in a merge patch.
  return path === "" || holdsNull(after) ? IMPOSSIBLE : after;
}

function mergeObjects(
  before: JsonObject,
  after: JsonObject,
  { path, growth }: Place,
): Json | undefined | typeof IMPOSSIBLE {
  if (!keepsOrder(before, after)) return IMPOSSIBLE;
  const merge: Record<string, Json> = {};
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) {
      merge[key] = null;
      continue;
    }
    const place = { path: `${path}/${escapeToken(key)}`, growth };
    const part = mergeBetween(before[key]!, after[key]!, place);
    if (part === IMPOSSIBLE) return IMPOSSIBLE;
    if (part !== undefined) merge[key] = part;
  }
  for (const key of Object.keys(after)) {
    if (Object.hasOwn(before, key)) continue;
    if (holdsNull(after[key]!)) return IMPOSSIBLE;
    merge[key] = after[key]!;
  }
  return Object.keys(merge).length === 0 ? undefined : merge;
}

function isPrefix(before: readonly Json[], after: readonly Json[]): boolean {
  if (before.length > after.length) return false;
  return before.every((item, index) => hasSameText(item, after[index]!));
}

/** Whether a merge patch with this value would lose a null of it; those inside arrays are safe. */
function holdsNull(value: Json): boolean {
  return value === null || (isObject(value) && Object.values(value).some(holdsNull));
}
