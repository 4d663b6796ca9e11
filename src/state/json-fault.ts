/// <reference lib="es2024.string" />
import { quote } from "./quote.ts";

/** Why a value cannot be kept as JSON, and where in it. */
export interface Fault {
  readonly code: "INVALID_DATA" | "PAYLOAD_TOO_LARGE";
  readonly why: string;
  /** The reference tokens from the whole value to the place. */
  readonly path: readonly string[];
}

interface Check {
  readonly dataBytes: number;
  readonly dataDepth: number;
  /** From the whole value to where the walk is. */
  readonly path: string[];
  /** Goes down by what the value costs at least, which bounds the walk. */
  bytesLeft: number;
}

/** The first reason why a value cannot be kept exactly as it is, or undefined where there is none. */
export function findFault(
  value: unknown,
  limits: { readonly dataBytes: number; readonly dataDepth: number },
): Fault | undefined {
  const { dataBytes, dataDepth } = limits;
  return valueFault(value, { dataBytes, dataDepth, path: [], bytesLeft: dataBytes });
}

function valueFault(value: unknown, check: Check): Fault | undefined {
  const jsonValue = jsonForm(value, check.path.at(-1) ?? "");
  if (typeof jsonValue === "object" && jsonValue !== null) return containerFault(jsonValue, check);
  check.bytesLeft -= typeof jsonValue === "string" ? jsonValue.length + 2 : 1;
  const why = scalarFault(jsonValue);
  if (why !== undefined) return fault(why, check);
  return check.bytesLeft < 0 ? tooLarge(check) : undefined;
}

/** What JSON.stringify looks at in place of the value. */
function jsonForm(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !("toJSON" in value)) return value;
  return typeof value.toJSON === "function"
    ? (value.toJSON as (key: string) => unknown)(key)
    : value;
}

function scalarFault(value: unknown): string | undefined {
  if (typeof value === "string") return textFault(value);
  if (typeof value === "number") return numberFault(value);
  if (typeof value === "boolean" || value === null) return undefined;
  if (typeof value === "bigint") return "is a bigint, which JSON does not have; send it as text";
  if (value === undefined) return "is undefined, which JSON does not have; send null";
  return `is a ${typeof value}, which JSON does not have; leave it out`;
}

function numberFault(value: number): string | undefined {
  if (!Number.isFinite(value)) return `is ${value}, which JSON does not have; send null or text`;
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return undefined;
  return "is a number beyond 2^53-1, where digits get lost; send it as text";
}

function textFault(text: string): string | undefined {
  if (text.includes("\0"))
    return "holds the character NUL, which PostgreSQL cannot keep; remove it";
  if (text.isWellFormed()) return undefined;
  return "holds half of a surrogate pair, which is no Unicode text; cut texts between characters";
}

function containerFault(value: object, check: Check): Fault | undefined {
  if (check.path.length >= check.dataDepth) {
    return fault(
      `is nested deeper than ${Math.max(0, check.dataDepth)} levels, or holds itself`,
      check,
    );
  }
  check.bytesLeft -= 2;
  if (Array.isArray(value)) return arrayFault(value, check);
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  const keys = Object.keys(value);
  const isBare = keys.length === 0 && !isPlainObject(value);
  if (kind !== "Object" || isBare) {
    const name = kind === "Object" ? "class instance without fields" : kind;
    return fault(
      `is a ${name}, whose content JSON would lose; send plain objects and arrays`,
      check,
    );
  }
  return fieldsFault(value as Record<string, unknown>, keys, check);
}

function arrayFault(items: readonly unknown[], check: Check): Fault | undefined {
  for (let index = 0; index < items.length; index++) {
    check.path.push(String(index));
    const found = valueFault(items[index], check);
    if (found !== undefined) return found;
    check.path.pop();
  }
  return undefined;
}

function fieldsFault(
  value: Record<string, unknown>,
  keys: readonly string[],
  check: Check,
): Fault | undefined {
  for (const key of keys) {
    const item = value[key];
    if (item === undefined) continue;
    check.path.push(key);
    check.bytesLeft -= key.length + 3;
    const found = keyFault(key, check) ?? valueFault(item, check);
    if (found !== undefined) return found;
    check.path.pop();
  }
  return undefined;
}

function keyFault(key: string, check: Check): Fault | undefined {
  if (key === "__proto__")
    return fault("is a field that JavaScript gives a meaning; rename it", check);
  const why = textFault(key);
  if (why === undefined) return undefined;
  check.path.pop();
  return fault(`has a field ${quote(key)} whose name ${why}`, check);
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A plain object of another realm has a prototype of its own, which has none.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function fault(why: string, check: Check): Fault {
  return { code: "INVALID_DATA", why, path: [...check.path] };
}

function tooLarge(check: Check): Fault {
  const why = `makes it larger than ${check.dataBytes} bytes; keep large parts elsewhere and refer to them`;
  return { code: "PAYLOAD_TOO_LARGE", why, path: [...check.path] };
}
