import { createHash } from "node:crypto";
import { factKey } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { deletedFact, factsOf, identityOf } from "./pod-facts.ts";
import type { PodIdentity } from "./pod-facts.ts";
import type { PodObject } from "./pod-object.ts";

interface Remembered {
  readonly identity: PodIdentity;
  /** What its present form told: short hashes. */
  told: readonly string[];
}

/** What is known of the pods that are there: just enough to tell what is new of them. */
export class PodMemory {
  /** By namespace and name: the place of a pod, which another one may take. */
  readonly #pods = new Map<string, Remembered>();

  get size(): number {
    return this.#pods.size;
  }

  /** Their uids. */
  uids(): ReadonlySet<string> {
    return new Set([...this.#pods.values()].map(({ identity }) => identity.podUid));
  }

  /** What a pod tells that it did not before; one that another has taken the place of is gone. */
  take(pod: PodObject, now: number): LifecycleFact[] {
    const place = placeOf(pod.metadata);
    const before = this.#pods.get(place);
    const isSame = before?.identity.podUid === pod.metadata.uid;
    const gone = before === undefined || isSame ? [] : [deletedFact(before.identity, now)];
    const facts = factsOf(pod);
    const told = facts.map(shortKey);
    const known = isSame ? before.told : [];
    this.#pods.set(place, { identity: identityOf(pod), told });
    return [...gone, ...facts.filter((_, index) => !known.includes(told[index]!))];
  }

  /** That pod is gone; one that came to its place since then is not. */
  drop(pod: PodObject, now: number): LifecycleFact[] {
    const there = this.#pods.get(placeOf(pod.metadata));
    const isOther = there !== undefined && there.identity.podUid !== pod.metadata.uid;
    const facts = isOther ? factsOf(pod) : this.take(pod, now);
    if (!isOther) this.forget(pod);
    return [...facts, deletedFact(identityOf(pod), now)];
  }

  /** It is none of ours any more; nothing is told. */
  forget(pod: PodObject): void {
    this.#pods.delete(placeOf(pod.metadata));
  }

  /** Those that are not in a list of all that are there. */
  missing(listed: ReadonlySet<string>): PodIdentity[] {
    return [...this.#pods.values()]
      .map(({ identity }) => identity)
      .filter(({ podUid }) => !listed.has(podUid));
  }

  /** One that a list did not have. */
  remove(identity: PodIdentity, now: number): LifecycleFact[] {
    const place = placeOf({ namespace: identity.namespace, name: identity.podName });
    if (this.#pods.get(place)?.identity.podUid !== identity.podUid) return [];
    this.#pods.delete(place);
    return [deletedFact(identity, now)];
  }
}

function placeOf({
  namespace,
  name,
}: {
  readonly namespace: string;
  readonly name: string;
}): string {
  return `${namespace}/${name}`;
}

/** Its reason too: it may change while the time stays. */
function shortKey(fact: LifecycleFact): string {
  const text = `${factKey(fact)} ${fact.reason ?? ""}`;
  // Of the bytes: what is cut off a text would keep the whole of it in memory.
  return createHash("sha256").update(text).digest().subarray(0, 12).toString("base64url");
}
