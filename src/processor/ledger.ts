import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { Json } from "../state/json.ts";
import type { EffectState } from "../state/task-face.ts";
import type { Hold } from "./hold.ts";

/** Before the keys of what a run notes for itself; effects of handlers may not begin so. */
const OWN = "run.";

/** A time to pass. Programs before this one noted no more than when it ends, by their own clock. */
type Pause = { readonly until: number; readonly ms?: number; readonly run?: string };

/** What a task did outside, and what its runs noted: it stays whatever becomes of the run. */
export class Ledger {
  readonly #hold: Hold;
  #ownKeys: Promise<Set<string>> | undefined;

  constructor(hold: Hold) {
    this.#hold = hold;
  }

  /** How an effect stands, which begins where nobody began it. */
  async begin(key: string, options: { readonly again?: boolean } = {}): Promise<EffectState> {
    if (typeof key !== "string") {
      throw new AgentRuntimeError("INVALID_REQUEST", "the key of an effect is text", {
        field: "key",
      });
    }
    if (key.startsWith(OWN)) {
      const why = `the key of an effect may not begin with "${OWN}"; what runs note for themselves does`;
      throw new AgentRuntimeError("INVALID_REQUEST", why, { field: "key" });
    }
    return await this.#effect({ key, ...options });
  }

  async record(key: string, receipt: Json): Promise<Json> {
    return (await this.#effect({ key, receipt })).receipt;
  }

  /** What was noted first under this name. */
  async note<Value extends Json>(name: string, value: Value): Promise<Value> {
    return (await this.record(OWN + name, value)) as Value;
  }

  /**
   * Milliseconds that are left of a time that began when it was noted first, by the clock of the database: it says when
   * that was and when this run began. The clock of this process may be wrong, and another one's may have been.
   */
  async leftOf(name: string, ms: number): Promise<number> {
    const { id, epoch } = this.#hold.task;
    const run = `${id} ${epoch}`;
    const now = systemClock.now();
    const noted = await this.note<Pause>(name, { until: now + ms, ms, run });
    if (noted.run === run) return noted.ms ?? ms;
    const { effects, lease } = await this.#hold.details();
    const begunAt = effects.find(({ key }) => key === OWN + name)?.begunAt;
    if (begunAt === undefined || lease?.since === undefined) return noted.until - now;
    return (noted.ms ?? ms) - (lease.since.getTime() - begunAt.getTime());
  }

  /**
   * How many answers there were when this question was put, now or in an earlier run.
   *
   * A rollback takes answers away, and not what was noted: a question that was put after more than there
   * are is put anew, under the next number.
   */
  async placeOf(name: string, answers: number): Promise<number> {
    const keys = await (this.#ownKeys ??= this.#readOwnKeys());
    for (let round = 1; ; round++) {
      const numbered = round === 1 ? name : `${name}~${round}`;
      if (keys.has(OWN + `${name}~${round + 1}`)) continue;
      const { after } = await this.note(numbered, { after: answers });
      keys.add(OWN + numbered);
      if (after <= answers) return after;
    }
  }

  async #readOwnKeys(): Promise<Set<string>> {
    const { effects } = await this.#hold.details();
    return new Set(effects.flatMap(({ key }) => (key.startsWith(OWN) ? [key] : [])));
  }

  #effect(report: {
    readonly key: string;
    readonly receipt?: Json;
    readonly again?: boolean;
  }): Promise<EffectState> {
    const { task, tasks, where } = this.#hold;
    return this.#hold.do(() => tasks.effect(task.id, { ...report, ...where, epoch: task.epoch }));
  }
}
