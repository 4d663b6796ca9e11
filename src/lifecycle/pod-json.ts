import type { Json, JsonObject } from "../state/json.ts";
import { WISHES } from "../state/lifecycle-fact.ts";
import { newPod } from "./pod.ts";
import type { Pod } from "./pod.ts";
import type { Standing } from "./standing.ts";

/** The document of a pod's state: where it stands, and all that it follows from. */
export function podJson(pod: Pod, standing: Standing): JsonObject {
  return structuredClone({ ...standing, ...pod }) as unknown as JsonObject;
}

/** What such a document says; null where somebody made something else of it. */
export function podOf(data: Json, podUid: string): Pod | null {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return null;
  const given = data as JsonObject;
  if (given["podUid"] !== podUid) return null;
  const like = newPod(podUid, "", "");
  const fields = Object.keys(like) as (keyof Pod)[];
  if (!fields.every((field) => isLike(given[field] ?? null, like[field]))) return null;
  const told = Object.fromEntries(fields.map((field) => [field, given[field] ?? null]));
  const pod = told as unknown as Pod;
  return WISHES.includes(pod.desired) ? pod : { ...pod, desired: "running" };
}

/** A text or nothing where there may be a text, and otherwise the same shape, as deep as `empty` goes. */
export function isLike(value: Json, empty: unknown): boolean {
  if (empty === null) return value === null || ["string", "object"].includes(typeof value);
  if (Array.isArray(empty)) return Array.isArray(value);
  if (typeof empty !== "object") return typeof value === typeof empty;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const given = value as JsonObject;
  return Object.entries(empty).every(([name, each]) => isLike(given[name] ?? null, each));
}
