import { systemClock } from "../service/clock.ts";
import type { Clock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { StateFace } from "../state/face.ts";
import { checkId } from "../state/identifiers.ts";
import type { JsonObject } from "../state/json.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { CallOptions, ReadOptions } from "../state/request.ts";
import type { Committed, State } from "../state/state.ts";
import type { EndedWorker } from "../state/task-port.ts";
import { apply, noteLate } from "./apply.ts";
import { byPod } from "./by-pod.ts";
import { moveOf } from "./follow-agent.ts";
import { beganAt } from "./pod.ts";
import type { Pod } from "./pod.ts";
import { podJson, podOf } from "./pod-json.ts";
import { standingOf } from "./standing.ts";
import type { Standing } from "./standing.ts";

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

/** Who writes. */
const ACTOR = "lifecycle";
/** Others write the same states: again with what they wrote. */
const TRIES = 20;
const CONFLICTS = ["VERSION_CONFLICT", "ALREADY_EXISTS"];
/** A pod that is gone is told about for a while yet, and then forgotten. */
const KEEP_DELETED_MS = 7 * 86_400_000;
/** Pods that are worked on side by side. */
const PODS_AT_ONCE = 64;

/** The id of the state of a pod. */
export function podStateId(podUid: string): string {
  return `pod:${podUid}`;
}

/**
 * Makes states of facts: of each pod one, in the phase that all facts about it come to. The state of the agent
 * that it runs follows, and its workers lose what they held when it ends.
 */
export class Lifecycles {
  readonly #options: LifecyclesOptions;
  readonly #figures = { applied: 0, late: 0, doubled: 0, released: 0 };

  constructor(options: LifecyclesOptions) {
    this.#options = options;
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

  /** Facts of one pod; answers its state as it then is. The same again changes nothing, and finishes what was not. */
  async apply(
    namespace: string,
    facts: readonly LifecycleFact[],
    call: CallOptions = {},
  ): Promise<Committed> {
    const where = { namespace, ...definedOnly(call) };
    const { pod, committed } = await this.#again(where, (freshly) => this.#tellPod(facts, freshly));
    const standing = standingOf(pod);
    await this.#endLeases(namespace, pod, standing);
    if (pod.agent !== null) {
      await this.#again(where, (freshly) => this.#tellAgent(pod, standing, freshly));
    }
    return committed;
  }

  /** First with what is in memory: a write onto something old is refused, and then main is asked. */
  async #again<T>(
    where: Omit<Where, "consistency">,
    run: (where: Where) => Promise<T>,
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await run({ ...where, consistency: tries === 1 ? "session" : "strong" });
      } catch (error) {
        const isConflict = error instanceof AgentRuntimeError && CONFLICTS.includes(error.code);
        if (!isConflict) throw error;
        if (tries < TRIES) continue;
        const why = "The state is written by so many that this could not be added; tell it again.";
        throw new AgentRuntimeError("UNAVAILABLE", why, { cause: error });
      }
    }
  }

  async #tellPod(
    facts: readonly LifecycleFact[],
    where: Where,
  ): Promise<{ readonly pod: Pod; readonly committed: Committed }> {
    const { podUid } = facts[0]!;
    const id = podStateId(podUid);
    const state = await this.#read(id, where);
    if (state !== null && state.type !== "lifecycle") throw taken(id, state);
    const before = state === null ? null : podOf(state.data, podUid);
    const { pod, told } = this.#merge(before, facts);
    const standing = standingOf(pod);
    const isSame = pod === before && state?.phase === standing.observed;
    const committed = isSame
      ? committedOf(state)
      : await this.#write(
          { id, type: "lifecycle", data: podJson(pod, standing) },
          {
            where,
            state,
            phase: standing.observed,
            ...(standing.observed === "deleted" ? { expiresAt: this.#keptUntil() } : {}),
            cause: facts.map(causeOf).join("; ").slice(0, 1_000),
          },
        );
    for (const fate of told) this.#figures[fate] += 1;
    return { pod, committed };
  }

  /** The pod with these facts, and what became of each. */
  #merge(
    before: Pod | null,
    facts: readonly LifecycleFact[],
  ): { readonly pod: Pod; readonly told: ("applied" | "late" | "doubled")[] } {
    let pod = before;
    const told = facts.map((fact) => {
      const was = pod;
      const phase = was === null ? null : standingOf(was).observed;
      pod = apply(was, fact);
      if (pod === was) return "doubled";
      const isLate = fact.at < (was?.seen ?? "") && standingOf(pod).observed === phase;
      if (!isLate) return "applied";
      pod = noteLate(pod, fact);
      return "late";
    });
    return { pod: pod!, told };
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
    const id = checkId(pod.agent);
    let state = await this.#read(id, where);
    if (state !== null && state.type !== "agent") throw taken(id, state);
    const known =
      state === null ? null : { phase: state.phase ?? "registered", data: objectOf(state.data) };
    const move = moveOf(known, pod, standing);
    if (move === null) return;
    const cause = `its pod is ${standing.observed}${standing.reason === null ? "" : `: ${standing.reason}`}`;
    const steps = known === null ? ["registered", ...move.phases] : move.phases;
    for (const phase of steps.length === 0 ? [known!.phase] : steps) {
      const data = { ...(state === null ? {} : objectOf(state.data)), ...move.patch };
      await this.#write({ id, type: "agent", data }, { where, state, phase, cause });
      state = await this.#read(id, where);
    }
  }

  async #read(id: string, where: Where): Promise<State | null> {
    try {
      return await this.#options.states.getState(id, where);
    } catch (error) {
      const code = error instanceof AgentRuntimeError ? error.code : null;
      if (code === "STATE_NOT_FOUND" || code === "GONE") return null;
      throw error;
    }
  }

  #keptUntil(): Date {
    return new Date((this.#options.clock ?? systemClock).now() + KEEP_DELETED_MS);
  }

  #write(
    { id, type, data }: { readonly id: string; readonly type: string; readonly data: JsonObject },
    { where, state, phase, cause, expiresAt }: Writing,
  ): Promise<Committed> {
    const { namespace, consistency: _, ...call } = where;
    const expectedVersion = state?.version ?? 0n;
    const order = { op: "update", id, type, data, phase, expectedVersion } as const;
    const change = expiresAt === undefined ? order : { ...order, expiresAt };
    const scope = state?.scope ?? id;
    const changeset = { namespace, scope, changes: [change], actor: ACTOR, cause };
    return this.#options.states.commit(changeset, call);
  }
}

type Where = CallOptions & Required<Pick<ReadOptions, "namespace" | "consistency">>;

interface Writing {
  readonly where: Where;
  /** As it was read. */
  readonly state: State | null;
  readonly phase: string;
  readonly cause: string;
  readonly expiresAt?: Date;
}

function causeOf({ source, container, fact, reason }: LifecycleFact): string {
  const what = container === null ? fact : `${fact} of ${container}`;
  return `${source}: ${what}${reason === undefined ? "" : ` (${reason})`}`;
}

function objectOf(data: unknown): JsonObject {
  const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
  return isObject ? (data as JsonObject) : {};
}

function taken(id: string, { type }: State): AgentRuntimeError {
  return new AgentRuntimeError(
    "INVALID_TYPE",
    `${id} is a state of type ${type}: what happens to a pod cannot be written there`,
    { field: "id" },
  );
}

/** As if it had been committed just now. */
function committedOf(state: State): Committed {
  const { namespace, scope, step } = state;
  return {
    namespace,
    scope,
    step,
    replayed: true,
    changes: [{ ...state, created: false, replayed: true }],
  };
}
