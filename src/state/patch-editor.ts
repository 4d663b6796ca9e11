import { isEqualJson } from "./equal.ts";
import type { Json } from "./json.ts";
import { childOf, isArray, isArrayIndex, isObject, parsePointer, valueAt } from "./pointer.ts";
import { quote } from "./quote.ts";
import type { PatchOperation } from "./state.ts";

type Fields = Record<string, Json>;

/**
 * A document under RFC 6902 operations. What it was made from never changes: an array or object is
 * copied at its first edit, and edited in place from then on, so that a thousand operations on a
 * large array do not copy it a thousand times.
 */
export class PatchEditor {
  #document: Json;
  /** Copies that nobody else can see. */
  readonly #owned = new Set<Json>();

  constructor(document: Json) {
    this.#document = document;
  }

  /** The document as it is now. What was handed out stays as it is. */
  get document(): Json {
    this.#owned.clear();
    return this.#document;
  }

  /** What stands at a JSON Pointer, or undefined where nothing does; good until the next `apply`. */
  at(pointer: string): Json | undefined {
    return valueAt(this.#document, parsePointer(pointer));
  }

  /** Applies one operation; answers why it does not apply, where it does not. */
  apply(operation: PatchOperation): string | undefined {
    const tokens = parsePointer(operation.path);
    if (operation.op === "remove") return this.#remove(tokens);
    if ("from" in operation) return this.#take(operation, tokens);
    if (operation.op === "add") return this.#add(tokens, operation.value);
    if (operation.op === "replace") return this.#replace(tokens, operation.value);
    return this.#test(tokens, operation.value);
  }

  #add(tokens: readonly string[], value: Json): string | undefined {
    if (tokens.length === 0) return this.#become(value);
    const parent = this.#parentOf(tokens);
    if (typeof parent === "string") return parent;
    const last = tokens.at(-1)!;
    if (!isArray(parent)) return setField(parent, last, value);
    const index = last === "-" ? parent.length : indexOf(last);
    if (index > parent.length) return noItem(last, parent);
    parent.splice(index, 0, value);
    return undefined;
  }

  #remove(tokens: readonly string[]): string | undefined {
    // A document is never nothing, so removing all of it leaves null.
    if (tokens.length === 0) return this.#become(null);
    const parent = this.#parentOf(tokens);
    if (typeof parent === "string") return parent;
    const last = tokens.at(-1)!;
    if (childOf(parent, last) === undefined) return noChild(last, parent);
    if (isArray(parent)) parent.splice(indexOf(last), 1);
    else delete parent[last];
    return undefined;
  }

  #replace(tokens: readonly string[], value: Json): string | undefined {
    if (tokens.length === 0) return this.#become(value);
    const parent = this.#parentOf(tokens);
    if (typeof parent === "string") return parent;
    const last = tokens.at(-1)!;
    if (childOf(parent, last) === undefined) return noChild(last, parent);
    if (!isArray(parent)) return setField(parent, last, value);
    parent[indexOf(last)] = value;
    return undefined;
  }

  #test(tokens: readonly string[], value: Json): string | undefined {
    const found = valueAt(this.#document, tokens);
    if (found === undefined) return "there is nothing to test";
    return isEqualJson(value, found) ? undefined : "the document holds another value there";
  }

  #take(
    operation: Extract<PatchOperation, { from: string }>,
    tokens: readonly string[],
  ): string | undefined {
    const { op, from, path } = operation;
    if (op === "move" && path.startsWith(`${from}/`)) return "nothing moves into itself";
    const source = parsePointer(from);
    const value = valueAt(this.#document, source);
    if (value === undefined) return `there is nothing at ${quote(from)}`;
    if (op === "move") return this.#remove(source) ?? this.#add(tokens, value);
    // From here on the document holds it twice, so an edit of one must not show in the other. What
    // is not owned has no owned parts, and stays as it is anyway.
    if (this.#owned.has(value)) this.#owned.clear();
    return this.#add(tokens, value);
  }

  #become(value: Json): undefined {
    this.#document = value;
  }

  /** What holds the last token, made safe to edit; or why nothing does. */
  #parentOf(tokens: readonly string[]): Json[] | Fields | string {
    if (!isContainer(this.#document)) return belowScalar(tokens[0]!);
    let parent = this.#own(this.#document);
    this.#document = parent;
    for (const [level, token] of tokens.slice(0, -1).entries()) {
      const child = childOf(parent, token);
      if (child === undefined) return noChild(token, parent);
      if (!isContainer(child)) return belowScalar(tokens[level + 1]!);
      const copy = this.#own(child);
      if (Array.isArray(parent)) parent[indexOf(token)] = copy;
      else parent[token] = copy;
      parent = copy;
    }
    return parent;
  }

  #own(value: object): Json[] | Fields {
    if (this.#owned.has(value as Json)) return value as Json[] | Fields;
    const copy = Array.isArray(value) ? [...(value as Json[])] : { ...(value as Fields) };
    this.#owned.add(copy);
    return copy;
  }
}

function isContainer(value: Json): value is Exclude<Json, null | boolean | number | string> {
  return isArray(value) || isObject(value);
}

function setField(parent: Fields, key: string, value: Json): string | undefined {
  if (key === "__proto__") return `no document may hold a field "__proto__"`;
  parent[key] = value;
  return undefined;
}

/** The index that a token names; beyond every array where it names none. */
function indexOf(token: string): number {
  return isArrayIndex(token) ? Number(token) : Infinity;
}

function noChild(token: string, parent: Json): string {
  return isArray(parent) ? noItem(token, parent) : `there is no field ${quote(token)}`;
}

function noItem(token: string, parent: readonly Json[]): string {
  if (token === "-") return `"-" is behind the last item, where only "add" can write`;
  if (!isArrayIndex(token)) return `${quote(token)} is not an index of an array`;
  return `the array has ${parent.length} items, so there is no index ${token}`;
}

function belowScalar(token: string): string {
  return `${quote(token)} is below a value that holds nothing`;
}
