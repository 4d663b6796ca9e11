import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { Followed, Kind } from "./kind.ts";
import { deletedFact } from "./pod-facts.ts";
import type { PodIdentity } from "./pod-facts.ts";

interface Remembered {
  readonly identity: PodIdentity;
  /** What its present form told: short hashes. */
  readonly told: readonly string[];
  /** Which form it was, where that matters. */
  readonly version: string;
}

/** What is known of the objects that are there: just enough to tell what is new of them. */
export class Memory<Item extends Followed> {
  readonly #kind: Kind<Item>;
  /** By namespace and name: the place of an object, which another one may take. */
  readonly #there = new Map<string, Remembered>();

  constructor(kind: Kind<Item>) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#there.size;
  }

  /** Their uids. */
  uids(): ReadonlySet<string> {
    return new Set([...this.#there.values()].map(({ identity }) => identity.podUid));
  }

  /**
   * What an object tells that it did not before; one that another has taken the place of is gone.
   *
   * @param isListed it may have had other forms since it was seen last.
   */
  take(item: Item, now: number, isListed = false): LifecycleFact[] {
    const { isOurs, factsOf, keyOf, identityOf, isWhole } = this.#kind;
    const { uid, resourceVersion = "" } = item.metadata;
    const place = placeOf(item.metadata);
    const before = this.#there.get(place);
    const isSame = before?.identity.podUid === uid;
    const gone = before === undefined || isSame ? [] : [deletedFact(before.identity, now)];
    if (!isOurs(item)) {
      this.#there.delete(place);
      return gone;
    }
    const version = isWhole ? resourceVersion : "";
    const isGap = isListed && before?.version !== version;
    const facts = factsOf(item);
    const told = facts.map(keyOf);
    const known = isSame && !isGap ? before.told : [];
    this.#there.set(place, { identity: identityOf(item), told, version });
    return [...gone, ...facts.filter((_, index) => !known.includes(told[index]!))];
  }

  /** That object is gone; one that came to its place since then is not. */
  drop(item: Item, now: number): LifecycleFact[] {
    const { isOurs, factsOf, identityOf } = this.#kind;
    const there = this.#there.get(placeOf(item.metadata));
    if (!isOurs(item) && there?.identity.podUid !== item.metadata.uid) return [];
    const isOther = there !== undefined && there.identity.podUid !== item.metadata.uid;
    const facts = isOther ? factsOf(item) : this.take(item, now);
    if (!isOther) this.forget(item);
    return [...facts, deletedFact(identityOf(item), now)];
  }

  /** It is none of ours any more; nothing is told. */
  forget(item: Item): void {
    this.#there.delete(placeOf(item.metadata));
  }

  /** Those that are not in a list of all that are there. */
  missing(listed: ReadonlySet<string>): PodIdentity[] {
    return [...this.#there.values()]
      .map(({ identity }) => identity)
      .filter(({ podUid }) => !listed.has(podUid));
  }

  /** One that a list did not have. */
  remove(identity: PodIdentity, now: number): LifecycleFact[] {
    const place = placeOf({ namespace: identity.namespace, name: identity.podName });
    if (this.#there.get(place)?.identity.podUid !== identity.podUid) return [];
    this.#there.delete(place);
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
