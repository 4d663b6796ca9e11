import { setTimeout as sleep } from "node:timers/promises";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { StateFace } from "../../state/face.ts";
import type { Changeset } from "../../state/request.ts";
import { CommandFailed, EXIT } from "../failure.ts";
import { patiently } from "../patience.ts";
import type { Patience } from "../patience.ts";
import { toJson } from "../print/json.ts";
import type { PlannedStep, RunPlan } from "./plan-run.ts";

export interface PlayOptions extends Patience {
  readonly client: StateFace;
  /** How many times faster than it was recorded; Infinity waits nowhere. */
  readonly speed: number;
  /** Called after each step with what it sent. */
  readonly onStep: (step: { readonly bytes: number; readonly isNew: boolean }) => void;
}

/**
 * Plays one run to its end.
 *
 * Each step carries an idempotency key, so a replay that was cut off goes on where it ended, and a
 * step whose answer was lost is sent again.
 *
 * @returns false where every step had been played before.
 * @throws {CommandFailed} something else has its ids.
 */
export async function playRun(plan: RunPlan, options: PlayOptions): Promise<boolean> {
  const { client, speed, signal, onStep } = options;
  let isNew = false;
  for (const [index, step] of plan.steps.entries()) {
    // What was played before is passed quickly.
    const waitMs = isNew ? step.waitMs / speed : 0;
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
    const changeset = changesetOf(plan, step, index + 1);
    const committed = await patiently(() => client.commit(changeset, { signal }), options).catch(
      (error: unknown) => {
        throw explained(error, plan);
      },
    );
    isNew = !committed.replayed;
    onStep({ bytes: Buffer.byteLength(toJson(step.changes)), isNew });
  }
  return isNew;
}

function changesetOf(plan: RunPlan, step: PlannedStep, number: number): Changeset {
  const { changes, actor, cause } = step;
  const idempotencyKey = `replay:${plan.agent}:${number}`;
  return { scope: plan.agent, changes, actor, cause, idempotencyKey };
}

function explained(error: unknown, plan: RunPlan): unknown {
  const isTaken =
    error instanceof AgentRuntimeError &&
    (error.code === "ALREADY_EXISTS" || error.code === "IDEMPOTENCY_KEY_REUSED");
  if (!isTaken) return error;
  return new CommandFailed(`${plan.agent} already exists, and it comes from another run`, {
    next: "choose other ids: --prefix mine-",
    exitCode: EXIT.conflict,
    cause: error,
  });
}
