import type { Json, JsonObject } from "../state/json.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { apply, noteLate } from "./apply.ts";
import { podJson, podOf } from "./pod-json.ts";
import type { Pod } from "./pod.ts";
import { applyToSandbox, sandboxJson, sandboxOf, standingOfSandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";
import { standingOf } from "./standing.ts";
import type { ObservedPhase } from "./standing.ts";

/** What facts are told of, and what they make of it. */
export interface Subject<Known> {
  readonly stateId: (uid: string) => string;
  /** What the document of its state says; null where somebody made something else of it. */
  readonly known: (data: Json, fact: LifecycleFact) => Known | null;
  /** With one more fact; the same object where that tells nothing new. */
  readonly apply: (known: Known | null, fact: LifecycleFact) => Known;
  readonly phase: (known: Known) => ObservedPhase;
  readonly json: (known: Known) => JsonObject;
  /** With a note that the fact came late; null where it did not. */
  readonly late: (
    known: Known,
    told: { readonly before: Known | null; readonly fact: LifecycleFact },
  ) => Known | null;
}

export const PODS: Subject<Pod> = {
  stateId: (uid) => `pod:${uid}`,
  known: (data, { podUid }) => podOf(data, podUid),
  apply,
  phase: (pod) => standingOf(pod).observed,
  json: (pod) => podJson(pod, standingOf(pod)),
  late: (pod, { before, fact }) => {
    if (before === null || fact.at >= (before.seen ?? "")) return null;
    return standingOf(pod).observed === standingOf(before).observed ? noteLate(pod, fact) : null;
  },
};

export const SANDBOXES: Subject<Sandbox> = {
  stateId: (uid) => `sandbox:${uid}`,
  known: sandboxOf,
  apply: applyToSandbox,
  phase: (sandbox) => standingOfSandbox(sandbox).observed,
  json: sandboxJson,
  // It notes that itself.
  late: (sandbox, { before }) =>
    before !== null && sandbox.late.length > 0 && sandbox.late !== before.late ? sandbox : null,
};
