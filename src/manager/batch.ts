import { AgentRuntimeError } from "../state/errors.ts";
import type { BatchOutcome } from "../state/face.ts";
import type { Changeset } from "../state/request.ts";
import type { Committed } from "../state/state.ts";

/**
 * Commits independent changesets side by side, each with a fate of its own.
 *
 * @throws {AgentRuntimeError} PAYLOAD_TOO_LARGE: more than the limit; none was committed.
 */
export async function commitAll(
  changesets: readonly Changeset[],
  limit: number,
  commit: (changeset: Changeset) => Promise<Committed>,
): Promise<BatchOutcome[]> {
  if (changesets.length > limit) {
    throw new AgentRuntimeError(
      "PAYLOAD_TOO_LARGE",
      `A batch has at most ${limit} changesets, this one ${changesets.length}; send it in parts.`,
    );
  }
  return Promise.all(changesets.map((changeset) => fateOf(commit(changeset))));
}

async function fateOf(commit: Promise<Committed>): Promise<BatchOutcome> {
  try {
    return { ok: true, committed: await commit };
  } catch (error) {
    if (error instanceof AgentRuntimeError) return { ok: false, error };
    throw error;
  }
}
