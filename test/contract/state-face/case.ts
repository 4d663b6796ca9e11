import { randomBytes } from "node:crypto";
import type { AgentRuntimeError } from "../../../src/state/errors.ts";
import type { StateFace } from "../../../src/state/face.ts";

/** The face under test, once its suite has opened it. */
export type Face = () => StateFace;

let count = 0;

/** An id that no test has had. */
export function uniqueId(prefix = "s"): string {
  return `${prefix}-${randomBytes(4).toString("hex")}-${++count}`;
}

/** What a call is refused with; fails where it is not. */
export async function refusalOf(call: Promise<unknown>): Promise<AgentRuntimeError> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error as AgentRuntimeError }),
  );
  if ("error" in outcome) return outcome.error;
  throw new Error(`not refused: ${String(outcome.value)}`);
}

/** What calls that run side by side are refused with; fails where one is not. */
export async function refusalsOf(calls: readonly Promise<unknown>[]): Promise<AgentRuntimeError[]> {
  return await Promise.all(calls.map(refusalOf));
}
