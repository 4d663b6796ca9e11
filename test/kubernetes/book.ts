import { apply } from "../../src/lifecycle/apply.ts";
import type { Pod } from "../../src/lifecycle/pod.ts";
import { podJson } from "../../src/lifecycle/pod-json.ts";
import { standingOf } from "../../src/lifecycle/standing.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import type { ListOptions } from "../../src/state/request.ts";
import type { Page, State, StateSummary } from "../../src/state/state.ts";

/** What was told, and what it comes to. */
export class Book {
  readonly pods = new Map<string, Pod>();
  readonly facts: LifecycleFact[] = [];
  refusals = 0;

  publish(facts: readonly LifecycleFact[]): Promise<void> {
    if (this.refusals > 0) {
      this.refusals -= 1;
      return Promise.reject(new AgentRuntimeError("UNAVAILABLE", "the disk is full"));
    }
    this.facts.push(...facts);
    for (const fact of facts) {
      this.pods.set(fact.podUid, apply(this.pods.get(fact.podUid) ?? null, fact));
    }
    return Promise.resolve();
  }

  list({ phase }: ListOptions = {}): Promise<Page<StateSummary>> {
    const uids = [...this.pods.keys()].filter((uid) => this.phaseOf(uid) === phase);
    const items = uids.map((uid) => ({ id: `pod:${uid}` }) as StateSummary);
    return Promise.resolve({ items });
  }

  getState(id: string): Promise<State> {
    const pod = this.pods.get(id.replace("pod:", ""))!;
    return Promise.resolve({ id, data: podJson(pod, standingOf(pod)) } as unknown as State);
  }

  phaseOf(uid: string): string | undefined {
    const pod = this.pods.get(uid);
    return pod === undefined ? undefined : standingOf(pod).observed;
  }
}
