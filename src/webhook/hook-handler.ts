import type { Json, JsonObject } from "../state/json.ts";
import { isObject } from "../state/pointer.ts";

/** The hooks that Kubernetes knows. */
export const HOOKS_OF_A_CONTAINER = ["postStart", "preStop"] as const;

/** A hook of a container that asks the sidecar. No `host`: then it is the pod's own, whatever network it has. */
export function hookOf(container: string, hook: string, port: number): JsonObject {
  return { httpGet: { path: pathOf(container, hook), port, scheme: "HTTP" } };
}

/** Whether a hook is that one, at whatever port. */
export function isHookOf(given: Json | undefined, container: string, hook: string): boolean {
  if (!isObject(given)) return false;
  const { httpGet } = given;
  return isObject(httpGet) && httpGet["path"] === pathOf(container, hook);
}

function pathOf(container: string, hook: string): string {
  return `/v1/hooks/${encodeURIComponent(container)}/${hook}`;
}
