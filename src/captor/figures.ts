import type { LifecycleFact } from "../state/lifecycle-fact.ts";

/** What a captor did, and how it stands. */
export class CaptorFigures {
  readonly events = new Map<string, number>();
  readonly facts = new Map<string, number>();
  readonly ignored = new Map<string, number>();
  /** Second ends that said something else. */
  disagreements = 0;
  /** Times that more came than could wait. */
  overflows = 0;
  /** Times that nobody took facts. */
  refusals = 0;
  joins = 0;
  isJoined = false;
  containers = 0;
  /** Milliseconds since 1970; 0: never. */
  listedAtMs = 0;

  countEvent(topic: string): void {
    add(this.events, topic);
  }

  countIgnored(why: string): void {
    add(this.ignored, why);
  }

  countFacts(facts: readonly LifecycleFact[]): void {
    for (const { fact } of facts) add(this.facts, fact);
  }

  joined(): void {
    this.joins += 1;
    this.isJoined = true;
  }

  left(): void {
    this.isJoined = false;
  }

  listed(nowMs: number, containers: number): void {
    this.listedAtMs = nowMs;
    this.containers = containers;
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
