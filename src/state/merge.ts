import { AgentRuntimeError } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { isObject } from "./pointer.ts";

/**
 * The document after an RFC 7396 merge patch; parts that the patch does not name are shared.
 *
 * Fields that stay keep their place, new ones come last.
 *
 * @throws {AgentRuntimeError} INVALID_PATCH for a field `__proto__`.
 */
export function applyMerge(document: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged: Record<string, Json> = isObject(document) ? { ...document } : {};
  for (const [key, change] of Object.entries(patch)) {
    if (key === "__proto__") throw protoRefused();
    if (change === null) delete merged[key];
    else merged[key] = applyMerge(ownValue(merged, key), change);
  }
  return merged;
}

function ownValue(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function protoRefused(): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_PATCH", 'a merge patch may not hold a field "__proto__"');
}
