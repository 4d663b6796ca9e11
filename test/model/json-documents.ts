import fc from "fast-check";
import type { Delta } from "../../src/state/delta.ts";
import type { Json } from "../../src/state/json.ts";
import { formatPointer, isArray, isObject } from "../../src/state/pointer.ts";
import type { PatchOperation } from "../../src/state/state.ts";

/** Names that JSON, JSON Pointer or SQL write in a way of their own. */
const hardNames = [
  "",
  "/",
  "~",
  "~1",
  "~0",
  '"',
  "\\",
  "a/b",
  "-",
  "0",
  "10",
  "01",
  " ",
  "\n",
  "\t\b\f\r",
];
const unicodeNames = [
  "é",
  "e\u0301",
  "ключ",
  "𝄞",
  "\u2028",
  "\u007f",
  "\u0001",
  "constructor",
  "toString",
];

const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", "c", "items") },
  { weight: 3, arbitrary: fc.constantFrom(...hardNames, ...unicodeNames) },
  {
    weight: 1,
    arbitrary: fc.string({ unit: "grapheme", maxLength: 6 }).filter(isStorable),
  },
);

const scalar = fc.oneof(
  fc.constantFrom<Json>(null, true, false, 0, 1, -1, "", "x"),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true, max: 2 ** 53 - 1, min: -(2 ** 53 - 1) }),
  fc.string({ unit: "grapheme", maxLength: 8 }).filter(isStorable),
  fc.constantFrom(...hardNames, ...unicodeNames),
);

/** Any JSON value, a few levels deep; array and object at every place as likely as not. */
export const jsonValue: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    { weight: 2, arbitrary: scalar },
    { weight: 2, arbitrary: fc.array(tie("value"), { maxLength: 4 }) },
    {
      weight: 3,
      arbitrary: fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    },
  ),
})).value;

/** How to edit a document that is not known yet. */
export interface Edit {
  readonly how: "merge" | "append" | "both" | "patch";
  readonly places: readonly number[];
  readonly names: readonly string[];
  readonly values: readonly Json[];
  readonly ops: readonly (PatchOperation["op"] | "add-")[];
}

export const edit: fc.Arbitrary<Edit> = fc.record({
  how: fc.constantFrom("merge", "append", "append", "both", "patch"),
  places: fc.array(fc.nat(40), { minLength: 6, maxLength: 6 }),
  names: fc.array(name, { minLength: 3, maxLength: 3 }),
  values: fc.array(jsonValue, { minLength: 3, maxLength: 3 }),
  ops: fc.array(
    fc.constantFrom("add", "add", "add-", "remove", "replace", "test", "move", "copy"),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
});

/** The delta that an edit means for a document: mostly one that applies, not always. */
export function deltaFor(document: Json, { how, places, names, values, ops }: Edit): Delta {
  if (how === "patch") {
    return {
      p: ops.map((op, i) => operationFor(document, op, { places, names, values, turn: i })),
    };
  }
  const merge = { m: isObject(values[0]) ? values[0] : { [names[0]!]: values[0]! } };
  if (how === "merge") return merge;
  const arrays = placesOf(document, isArray);
  const items = values.slice(0, 1 + (places[0]! % 2));
  const pointer =
    places[1]! % 8 === 0 || arrays.length === 0
      ? `/${names[1]!.replaceAll(/[~/]/g, "")}`
      : pick(arrays, places[2]!);
  const other =
    places[3]! % 4 === 0 && arrays.length > 1 ? { [pick(arrays, places[4]!)]: [names[2]!] } : {};
  const appends = { a: { [pointer]: places[5]! % 6 === 0 ? [] : items, ...other } };
  return how === "append" ? appends : { ...merge, ...appends };
}

function operationFor(
  document: Json,
  op: Edit["ops"][number],
  given: Pick<Edit, "places" | "names" | "values"> & { readonly turn: number },
): PatchOperation {
  const { places, names, values, turn } = given;
  const all = placesOf(document, () => true);
  const at = pick(all, places[turn]!);
  const value = values[turn]!;
  if (op === "add-")
    return { op: "add", path: `${pick(placesOf(document, isArray), places[turn]!)}/-`, value };
  if (op === "add") {
    return {
      op,
      path: places[turn]! % 3 === 0 ? at : formatPointer([...tokensOf(at), names[turn]!]),
      value,
    };
  }
  if (op === "test")
    return {
      op,
      path: at,
      value: places[turn]! % 2 === 0 ? (valueAtPlace(document, at) ?? value) : value,
    };
  if (op === "remove") return { op, path: at };
  if (op === "replace") return { op, path: at, value };
  return {
    op,
    from: at,
    path: pick(all, places[turn + 3]!) + (places[turn]! % 2 === 0 ? "" : `/${turn}`),
  };
}

/** JSON Pointers of everything in a document that is of a kind. */
function placesOf(document: Json, isOfKind: (value: Json) => boolean): string[] {
  const found: string[] = [];
  const walk = (value: Json, tokens: readonly string[]): void => {
    if (isOfKind(value)) found.push(formatPointer(tokens));
    if (isArray(value)) value.forEach((item, index) => walk(item, [...tokens, String(index)]));
    else if (isObject(value)) {
      for (const [key, item] of Object.entries(value)) walk(item, [...tokens, key]);
    }
  };
  walk(document, []);
  return found;
}

function tokensOf(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function valueAtPlace(document: Json, pointer: string): Json | undefined {
  let value: Json | undefined = document;
  for (const token of tokensOf(pointer)) value = (value as Record<string, Json>)[token];
  return value;
}

function pick(from: readonly string[], choice: number): string {
  return from[choice % Math.max(1, from.length)] ?? "/nowhere";
}

function isStorable(text: string): boolean {
  return !text.includes("\0") && text !== "__proto__" && text.isWellFormed();
}
