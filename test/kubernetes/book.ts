import type { Pod } from "../../src/lifecycle/pod.ts";
import type { Sandbox } from "../../src/lifecycle/sandbox.ts";
import { PODS, SANDBOXES } from "../../src/lifecycle/subjects.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import type { ListOptions } from "../../src/state/request.ts";
import type { Page, State, StateSummary } from "../../src/state/state.ts";

/** What was told, and what it comes to. */
export class Book {
  readonly pods = new Map<string, Pod>();
  readonly sandboxes = new Map<string, Sandbox>();
  readonly facts: LifecycleFact[] = [];
  refusals = 0;

  publish(facts: readonly LifecycleFact[]): Promise<void> {
    if (this.refusals > 0) {
      this.refusals -= 1;
      return Promise.reject(new AgentRuntimeError("UNAVAILABLE", "the disk is full"));
    }
    this.facts.push(...facts);
    for (const fact of facts) {
      const { podUid: uid, source } = fact;
      if (source === "sandbox") {
        this.sandboxes.set(uid, SANDBOXES.apply(this.sandboxes.get(uid) ?? null, fact));
      } else this.pods.set(uid, PODS.apply(this.pods.get(uid) ?? null, fact));
    }
    return Promise.resolve();
  }

  list({ idPrefix, phase }: ListOptions = {}): Promise<Page<StateSummary>> {
    const all = idPrefix === "sandbox:" ? this.sandboxes : this.pods;
    const uids = [...all.keys()].filter((uid) => this.phaseOf(uid) === phase);
    const items = uids.map((uid) => ({ id: `${idPrefix}${uid}` }) as StateSummary);
    return Promise.resolve({ items });
  }

  getState(id: string): Promise<State> {
    const [kind, uid] = id.split(":") as [string, string];
    const data =
      kind === "sandbox"
        ? SANDBOXES.json(this.sandboxes.get(uid)!)
        : PODS.json(this.pods.get(uid)!);
    return Promise.resolve({ id, data } as unknown as State);
  }

  /** Of a pod or a Sandbox object. */
  phaseOf(uid: string): string | undefined {
    const [pod, sandbox] = [this.pods.get(uid), this.sandboxes.get(uid)];
    if (pod !== undefined) return PODS.phase(pod);
    return sandbox === undefined ? undefined : SANDBOXES.phase(sandbox);
  }
}
