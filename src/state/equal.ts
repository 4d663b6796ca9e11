import type { Json } from "./json.ts";
import { isArray, isObject } from "./pointer.ts";

/** Whether two values are the same JSON, whatever order their fields stand in. */
export function isEqualJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (isArray(a)) {
    return isArray(b) && a.length === b.length && a.every((item, i) => isEqualJson(item, b[i]!));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isEqualJson(a[key]!, b[key]!))
  );
}

/** Whether two values give the same text in JSON.stringify: the order of fields counts. */
export function hasSameText(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (isArray(a)) {
    return isArray(b) && a.length === b.length && a.every((item, i) => hasSameText(item, b[i]!));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  const others = Object.keys(b);
  return (
    keys.length === others.length &&
    keys.every((key, place) => key === others[place] && hasSameText(a[key]!, b[key]!))
  );
}
