import { AgentRuntimeError } from "./errors.ts";
import type { ChangeRequest, Changeset } from "./request.ts";

/**
 * The changes of a changeset; callers in JavaScript hand in anything.
 *
 * @throws {AgentRuntimeError} INVALID_REQUEST: there are none.
 */
export function checkChanges({ changes }: Pick<Changeset, "changes">): readonly ChangeRequest[] {
  const isList: boolean = Array.isArray(changes); // As a type guard, it would forget the type.
  if (isList && changes.length > 0) return changes;
  throw new AgentRuntimeError(
    "INVALID_REQUEST",
    "A changeset has at least one change: { changes: [{ op, id, ... }] }.",
  );
}
