import type { DataLimits } from "./json-check.ts";

interface Budget {
  unitsLeft: number;
}

/**
 * Whether a quick look at a value finds nothing that JSON.stringify would lose or bend, and no more
 * bytes or levels than the limits, texts not looked into. Of a value that it does not know well,
 * such as an instance of a class, it says no: `findFault` knows.
 */
export function isPlain(value: unknown, limits: DataLimits): boolean {
  const budget: Budget = { unitsLeft: limits.dataBytes };
  const plain =
    typeof value === "object" && value !== null
      ? isPlainContainer(value, limits.dataDepth, budget)
      : isPlainScalar(value, budget);
  return plain && budget.unitsLeft >= 0;
}

// Apart from the recursion so that it is inlined: a call would box every number with a fraction.
function isPlainScalar(value: unknown, budget: Budget): boolean {
  if (typeof value === "string") {
    budget.unitsLeft -= value.length;
    return true;
  }
  if (typeof value === "number") {
    return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER;
  }
  return typeof value === "boolean" || value === null;
}

function isPlainContainer(value: object, depthLeft: number, budget: Budget): boolean {
  const isArray = Array.isArray(value);
  // What a value costs at least: one that shares its parts a billion times over ends here in time.
  budget.unitsLeft -= isArray ? value.length + 2 : 2;
  if (depthLeft <= 0 || budget.unitsLeft < 0) return false;
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false;
  return isArray
    ? isPlainArray(value, depthLeft - 1, budget)
    : isPlainObject(value as Record<string, unknown>, depthLeft - 1, budget);
}

function isPlainArray(items: readonly unknown[], depthLeft: number, budget: Budget): boolean {
  for (const item of items) {
    const plain =
      typeof item === "object" && item !== null
        ? isPlainContainer(item, depthLeft, budget)
        : isPlainScalar(item, budget);
    if (!plain) return false;
  }
  return true;
}

function isPlainObject(value: Record<string, unknown>, depthLeft: number, budget: Budget): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key in value) {
    const item = value[key];
    const plain =
      typeof item === "object" && item !== null
        ? isPlainContainer(item, depthLeft, budget)
        : item === undefined || isPlainScalar(item, budget);
    if (!plain) return false;
  }
  return true;
}
