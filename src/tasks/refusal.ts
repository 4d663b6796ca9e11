import { AgentRuntimeError } from "../state/errors.ts";
import type { ErrorCode } from "../state/errors.ts";
import { quote } from "../state/quote.ts";

/** Why the database refused what was asked of a task. */
export function taskRefusal(
  code: string,
  id: string,
  {
    phase = null,
    detail = null,
  }: { readonly phase?: string | null; readonly detail?: string | null } = {},
): AgentRuntimeError {
  return new AgentRuntimeError(code as ErrorCode, sentence(code, quote(id), { phase, detail }), {
    mayHaveHappened: false,
  });
}

function sentence(
  code: string,
  id: string,
  { phase, detail }: { readonly phase: string | null; readonly detail: string | null },
): string {
  const whom = detail === null ? id : quote(detail);
  switch (code) {
    case "TASK_NOT_FOUND":
      return `There is no task ${whom} in this namespace.`;
    case "TASK_ENDED":
      return detail === null
        ? `The task ${id} has ended${phase === null ? "" : ` (${phase})`}; push a new one.`
        : `The task ${whom} has ended, or is being canceled, and can have no more children; push one without a parent.`;
    case "TASK_TOO_DEEP":
      return `The task ${id} would be too deep below its first parent; end some of them, or push it without a parent.`;
    case "TASK_TOO_WIDE":
      return `The task ${whom} has the most children that a task may have; let some of them push children of their own.`;
    case "EPOCH_FENCED":
      return `The task ${whom} is no longer held with this epoch: its lease ran out, or it was taken away. Stop working on it.`;
    case "SCOPE_ON_HOLD":
      return `The stack of ${id} is on hold and takes no writes until an operator releases it.`;
    case "ALREADY_EXISTS":
      return `There is a state ${id} already. Push with another id, or with none.`;
    case "IDEMPOTENCY_KEY_REUSED":
      return `The idempotency key of ${id} was used for something else. Use a new key for a new task.`;
    case "INVALID_SCOPE":
    case "INVALID_TYPE":
      return `${id} is a state of another kind or of another scope; use another id.`;
    case "PAYLOAD_TOO_LARGE":
      return `The task ${id} is too large (${detail ?? "it has received as much as it can hold"}).`;
    case "ILLEGAL_TRANSITION":
      return `The task ${id} is ${phase ?? "not"} and is not waiting for that.`;
    default:
      return `The database refused the task ${id}: ${code}${detail === null ? "" : ` (${detail})`}.`;
  }
}
