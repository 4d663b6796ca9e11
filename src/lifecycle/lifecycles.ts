import { systemClock } from "../service/clock.ts";
import type { Clock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { definedOnly } from "../state/defined.ts";
import type { StateFace } from "../state/face.ts";
import { checkId } from "../state/identifiers.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { CallOptions } from "../state/request.ts";
import type { Committed, State } from "../state/state.ts";
import type { EndedWorker } from "../state/task-port.ts";
import { byPod } from "./by-pod.ts";
import { moveOf, sandboxPatch } from "./follow-agent.ts";
import type { KnownAgent } from "./follow-agent.ts";
import { beganAt } from "./pod.ts";
import type { Pod } from "./pod.ts";
import { standingOfSandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";
import { standingOf } from "./standing.ts";
import type { Standing } from "./standing.ts";
import { PODS, SANDBOXES } from "./subjects.ts";
import type { Subject } from "./subjects.ts";
import { LifecycleWriter, committedOf, objectOf } from "./writer.ts";
import type { Where } from "./writer.ts";

export interface LifecyclesOptions {
  readonly states: Pick<StateFace, "getState" | "commit">;
  readonly endLeases: (namespace: string, ended: EndedWorker) => Promise<number>;
  readonly clock?: Clock;
  readonly log: Logger;
}

/** What facts came to, for people and metrics. */
export interface LifecycleFigures {
  /** Told something new. */
  readonly applied: number;
  /** Told something that belongs before what was known already. */
  readonly late: number;
  /** Told nothing new. */
  readonly doubled: number;
  /** Tasks that were taken from workers whose pod was gone. */
  readonly released: number;
}

/** A pod that is gone is told about for a while yet, and then forgotten. */
const KEEP_DELETED_MS = 7 * 86_400_000;
/** Pods that are worked on side by side. */
const PODS_AT_ONCE = 64;

/**
 * Makes states of facts: of each pod one, in the phase that all facts about it come to. The state of the agent
 * that it runs follows, and its workers lose what they held when it ends. Sandbox objects have states of their own.
 */
export class Lifecycles {
  readonly #options: LifecyclesOptions;
  readonly #writer: LifecycleWriter;
  readonly #figures = { applied: 0, late: 0, doubled: 0, released: 0 };

  constructor(options: LifecyclesOptions) {
    this.#options = options;
    this.#writer = new LifecycleWriter(options.states);
  }

  get figures(): LifecycleFigures {
    return { ...this.#figures };
  }

  /** Facts of any pods. All of them are tried; of what failed, the first is thrown. */
  async applyAll(
    namespace: string,
    facts: readonly LifecycleFact[],
    call: CallOptions = {},
  ): Promise<void> {
    const next = byPod(facts).values();
    const failures: unknown[] = [];
    const work = async (): Promise<void> => {
      for (const ofPod of next) {
        await this.apply(namespace, ofPod, call).catch((error: unknown) => failures.push(error));
      }
    };
    await Promise.all(Array.from({ length: PODS_AT_ONCE }, work));
    if (failures.length > 0) throw failures[0];
  }

  /**
   * Facts of one pod, or of one Sandbox object; answers its state as it then is. The same again changes nothing, and
   * finishes what was not.
   */
  async apply(
    namespace: string,
    facts: readonly LifecycleFact[],
    call: CallOptions = {},
  ): Promise<Committed> {
    const where = { namespace, ...definedOnly(call) };
    return facts[0]!.source === "sandbox"
      ? await this.#applyToSandbox(where, facts)
      : await this.#applyToPod(where, facts);
  }

  async #applyToPod(
    where: Omit<Where, "consistency">,
    facts: readonly LifecycleFact[],
  ): Promise<Committed> {
    const { known: pod, committed } = await this.#writer.again(where, (freshly) =>
      this.#tell(PODS, facts, freshly),
    );
    const standing = standingOf(pod);
    await this.#endLeases(where.namespace, pod, standing);
    if (pod.agent !== null) {
      await this.#writer.again(where, (freshly) => this.#tellAgent(pod, standing, freshly));
    }
    return committed;
  }

  async #applyToSandbox(
    where: Omit<Where, "consistency">,
    facts: readonly LifecycleFact[],
  ): Promise<Committed> {
    const { known: sandbox, committed } = await this.#writer.again(where, (freshly) =>
      this.#tell(SANDBOXES, facts, freshly),
    );
    if (sandbox.agent !== null) {
      await this.#writer.again(where, (freshly) => this.#tellAgentOfSandbox(sandbox, freshly));
    }
    return committed;
  }

  async #tell<Known>(
    subject: Subject<Known>,
    facts: readonly LifecycleFact[],
    where: Where,
  ): Promise<{ readonly known: Known; readonly committed: Committed }> {
    const [first] = facts as readonly [LifecycleFact];
    const id = subject.stateId(first.podUid);
    const state = await this.#writer.read(id, "lifecycle", where);
    const before = state === null ? null : subject.known(state.data, first);
    const { known, fates } = merge(subject, before, facts);
    const phase = subject.phase(known);
    const isSame = known === before && state?.phase === phase;
    const committed = isSame
      ? committedOf(state)
      : await this.#writer.write(
          { id, type: "lifecycle", data: subject.json(known) },
          {
            where,
            state,
            phase,
            ...(phase === "deleted" ? { expiresAt: this.#keptUntil() } : {}),
            cause: facts.map(causeOf).join("; ").slice(0, 1_000),
          },
        );
    for (const fate of fates) this.#figures[fate] += 1;
    return { known, committed };
  }

  /** What its workers held is free: all of it once it ended, and what its run before held once it runs again. */
  async #endLeases(namespace: string, pod: Pod, { endedAt }: Standing): Promise<void> {
    const runs = pod.containers.find(({ name }) => name === pod.main)?.attempts ?? [];
    const before = endedAt ?? (runs.length > 1 ? beganAt(runs.at(-1)!) : null);
    if (before === null) return;
    const worker = pod.worker ?? pod.podName;
    const ended = { worker, before: new Date(before) };
    const released = await this.#options.endLeases(namespace, ended);
    this.#figures.released += released;
    if (released > 0) {
      this.#options.log.info({ pod: pod.podName, worker, released }, "tasks of a pod that ended");
    }
  }

  async #tellAgent(pod: Pod, standing: Standing, where: Where): Promise<void> {
    const { id, state, known } = await this.#agent(pod.agent, where);
    const move = moveOf(known, pod, standing);
    if (move === null) return;
    const cause = `its pod is ${standing.observed}${standing.reason === null ? "" : `: ${standing.reason}`}`;
    const steps = known === null ? ["registered", ...move.phases] : move.phases;
    let before = state;
    for (const phase of steps.length === 0 ? [known!.phase] : steps) {
      const data = { ...objectOf(before?.data), ...move.patch };
      await this.#writer.write({ id, type: "agent", data }, { where, state: before, phase, cause });
      before = await this.#writer.read(id, "agent", where);
    }
  }

  /** Its phase follows its pod: what is wanted of the Sandbox, and how it stands, is beside that. */
  async #tellAgentOfSandbox(sandbox: Sandbox, where: Where): Promise<void> {
    const { id, state, known } = await this.#agent(sandbox.agent, where);
    const patch = sandboxPatch(known, sandbox);
    if (patch === null) return;
    const { observed, desired } = standingOfSandbox(sandbox);
    const cause = `its sandbox is ${observed}, and is to be ${desired}`;
    const data = { ...objectOf(state?.data), ...patch };
    const phase = known?.phase ?? "registered";
    await this.#writer.write({ id, type: "agent", data }, { where, state, phase, cause });
  }

  async #agent(
    name: string | null,
    where: Where,
  ): Promise<{
    readonly id: string;
    readonly state: State | null;
    readonly known: KnownAgent | null;
  }> {
    const id = checkId(name);
    const state = await this.#writer.read(id, "agent", where);
    if (state === null) return { id, state, known: null };
    const known = { phase: state.phase ?? "registered", data: objectOf(state.data) };
    return { id, state, known };
  }

  #keptUntil(): Date {
    return new Date((this.#options.clock ?? systemClock).now() + KEEP_DELETED_MS);
  }
}

/** What is known with these facts, and what became of each. */
function merge<Known>(
  subject: Subject<Known>,
  before: Known | null,
  facts: readonly LifecycleFact[],
): { readonly known: Known; readonly fates: readonly ("applied" | "late" | "doubled")[] } {
  let known = before;
  const fates = facts.map((fact) => {
    const was = known;
    known = subject.apply(was, fact);
    if (known === was) return "doubled";
    const noted = subject.late(known, { before: was, fact });
    if (noted === null) return "applied";
    known = noted;
    return "late";
  });
  return { known: known!, fates };
}

function causeOf({ source, container, fact, reason }: LifecycleFact): string {
  const what = container === null ? fact : `${fact} of ${container}`;
  return `${source}: ${what}${reason === undefined ? "" : ` (${reason})`}`;
}
