import type { Change } from "./state.ts";

/** A change as watchers and messages carry it; its cursor travels beside it. */
export function changeJson(change: Change): object {
  return {
    namespace: change.namespace,
    scope: change.scope,
    step: String(change.step),
    id: change.id,
    type: change.type,
    version: String(change.version),
    kind: change.kind,
    phase: change.phase,
    data: change.data,
    patch: change.patch,
    cause: change.cause,
    actor: change.actor,
    digest: change.digest,
    at: change.at,
  };
}
