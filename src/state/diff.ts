import { hasSameText, isEqualJson } from "./equal.ts";
import type { Json, JsonObject } from "./json.ts";
import { PatchEditor } from "./patch-editor.ts";
import { escapeToken, isArray, isObject } from "./pointer.ts";
import { head, printable } from "./quote.ts";
import type { PatchOperation } from "./state.ts";

const MAX_VALUE_CHARACTERS = 80;
const MAX_LINES = 1_000;

export interface DiffSettings {
  /**
   * Whether the order of fields counts: the operations then lead to the same text, not only to
   * the same value. Where fields stand in another order, their object is replaced.
   */
  readonly keepsOrder?: boolean;
}

/**
 * RFC 6902 operations that lead from one document to the other, few and readable.
 *
 * Objects are compared field by field. Of two arrays, what they begin and end with alike is left
 * alone; what lies between is compared item by item, and the rest is added or removed.
 */
export function diffJson(from: Json, to: Json, settings: DiffSettings = {}): PatchOperation[] {
  const isSame = settings.keepsOrder === true ? hasSameText : isEqualJson;
  const diff: Diff = { operations: [], isSame, keepsOrder: settings.keepsOrder === true };
  compare(from, to, { path: "", diff });
  return diff.operations;
}

/** One line an operation, for people, with what was there before; long values are cut. */
export function describePatch(from: Json, operations: readonly PatchOperation[]): string {
  const editor = new PatchEditor(from);
  const lines: string[] = [];
  for (const operation of operations.slice(0, MAX_LINES)) {
    lines.push(describe(editor, operation));
    editor.apply(operation);
  }
  const more = operations.length - lines.length;
  if (more > 0) lines.push(`… and ${more} more`);
  return lines.join("\n");
}

interface Diff {
  readonly operations: PatchOperation[];
  readonly isSame: (a: Json, b: Json) => boolean;
  readonly keepsOrder: boolean;
}

interface Place {
  readonly path: string;
  readonly diff: Diff;
}

function compare(from: Json, to: Json, { path, diff }: Place): void {
  if (from === to) return;
  if (isArray(from) && isArray(to)) {
    compareArrays(from, to, { path, diff });
  } else if (isObject(from) && isObject(to) && (!diff.keepsOrder || keepsOrder(from, to))) {
    compareObjects(from, to, { path, diff });
  } else if (!diff.isSame(from, to)) {
    diff.operations.push({ op: "replace", path, value: to });
  }
}

function compareObjects(from: JsonObject, to: JsonObject, { path, diff }: Place): void {
  for (const key of Object.keys(from)) {
    const place = `${path}/${escapeToken(key)}`;
    if (Object.hasOwn(to, key)) compare(from[key]!, to[key]!, { path: place, diff });
    else diff.operations.push({ op: "remove", path: place });
  }
  for (const key of Object.keys(to)) {
    if (Object.hasOwn(from, key)) continue;
    diff.operations.push({ op: "add", path: `${path}/${escapeToken(key)}`, value: to[key]! });
  }
}

function compareArrays(from: readonly Json[], to: readonly Json[], { path, diff }: Place): void {
  const shorter = Math.min(from.length, to.length);
  let start = 0;
  while (start < shorter && diff.isSame(from[start]!, to[start]!)) start++;
  let tail = 0;
  while (tail < shorter - start && diff.isSame(from.at(-1 - tail)!, to.at(-1 - tail)!)) tail++;
  const both = shorter - tail;
  for (let index = start; index < both; index++) {
    compare(from[index]!, to[index]!, { path: `${path}/${index}`, diff });
  }
  // From the back, so that no index moves before its turn.
  for (let index = from.length - tail - 1; index >= both; index--) {
    diff.operations.push({ op: "remove", path: `${path}/${index}` });
  }
  for (let index = both; index < to.length - tail; index++) {
    diff.operations.push({ op: "add", path: `${path}/${index}`, value: to[index]! });
  }
}

/** Whether editing field by field ends in the order of `to`: what stays in place, then what is new. */
export function keepsOrder(from: JsonObject, to: JsonObject): boolean {
  const keys = Object.keys(to);
  let place = 0;
  for (const key of Object.keys(from)) {
    if (Object.hasOwn(to, key) && keys[place++] !== key) return false;
  }
  return true;
}

function describe(editor: PatchEditor, operation: PatchOperation): string {
  const { op } = operation;
  const path = shownPath(operation.path);
  if (op === "remove") return `- ${path}`;
  if ("from" in operation) return `${op} ${shownPath(operation.from)} → ${path}`;
  const value = shown(operation.value);
  if (op === "test") return `? ${path}: ${value}`;
  const before = editor.at(operation.path);
  const isNew = before === undefined || (op === "add" && isItemOfArray(editor, operation.path));
  return isNew ? `+ ${path}: ${value}` : `~ ${path}: ${shown(before)} → ${value}`;
}

/** Whether adding at this path moves what stands there out of the way instead of replacing it. */
function isItemOfArray(editor: PatchEditor, path: string): boolean {
  return path !== "" && isArray(editor.at(path.slice(0, path.lastIndexOf("/"))));
}

function shownPath(path: string): string {
  return path === "" ? "(all)" : printable(path);
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  const isLong = text.length > MAX_VALUE_CHARACTERS;
  return printable(isLong ? `${head(text, MAX_VALUE_CHARACTERS - 1)}…` : text);
}
