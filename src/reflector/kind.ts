import { createHash } from "node:crypto";
import { factKey } from "../state/lifecycle-fact.ts";
import type { FactSource, LifecycleFact } from "../state/lifecycle-fact.ts";
import { factsOf, identityOf } from "./pod-facts.ts";
import type { PodIdentity } from "./pod-facts.ts";
import type { ObjectMetadata, PodObject } from "./pod-object.ts";

/** The label that says which agent it is for. */
export const AGENT_LABEL = "agentruntime.dev/agent";

/** An object of the API server. */
export interface Followed {
  readonly metadata: ObjectMetadata;
}

/** Which objects are followed, and what they tell. */
export interface Kind<Item extends Followed> {
  readonly source: FactSource;
  /** Where they are: below `/api/v1`, or below their group and its version. */
  readonly api: string;
  readonly plural: string;
  /** What it tells does not matter to anybody here: as if it were not there. */
  readonly isOurs: (item: Item) => boolean;
  readonly identityOf: (item: Item) => PodIdentity;
  /** All that its present form tells. */
  readonly factsOf: (item: Item) => LifecycleFact[];
  /** Two facts with one key tell the same. */
  readonly keyOf: (fact: LifecycleFact) => string;
  /**
   * Of its forms only the latest counts: what it is after a gap is told again, even if it is what it was before that, for
   * somebody else may tell late what it was meanwhile.
   */
  readonly isWhole: boolean;
  /** The API server may not know the kind any more. */
  readonly mayVanish: boolean;
}

export const PODS: Kind<PodObject> = {
  source: "pod",
  api: "/api/v1",
  plural: "pods",
  isOurs: () => true,
  identityOf,
  factsOf,
  // Its reason too: it may change while the time stays.
  keyOf: (fact) => shortKey(`${factKey(fact)} ${fact.reason ?? ""}`),
  isWhole: false,
  mayVanish: false,
};

/** Where objects of a kind are; of one namespace, or of all. */
export function collectionOf(
  { api, plural }: Pick<Kind<never>, "api" | "plural">,
  namespace: string | null,
): string {
  const within = namespace === null ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${api}${within}/${plural}`;
}

/** A few bytes that stand for a text. */
export function shortKey(text: string): string {
  // Of the bytes: what is cut off a text would keep the whole of it in memory.
  return createHash("sha256").update(text).digest().subarray(0, 12).toString("base64url");
}
