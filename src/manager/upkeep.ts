import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { StateStore } from "../state/ports.ts";
import type { Changeset } from "../state/request.ts";

const DAY_MS = 86_400_000;
const PRUNE_EVERY_MS = 60_000;
const EXPIRED_LIMIT = 500;
const PRUNE_LIMIT = 10_000;

/** Does what is due of tasks, deletes states whose time has come, and forgets history that is older than is kept. */
export function keepUp(options: {
  readonly store: Pick<StateStore, "upkeep">;
  /** 0: history is kept for ever. */
  readonly historyDays: number;
  readonly log: Logger;
  /** How often. */
  readonly pauseMs: number;
  /** Whether more is due already. */
  readonly sweep: () => Promise<boolean>;
  readonly remove: (changeset: Changeset) => Promise<unknown>;
}): Loop {
  const { upkeep } = options.store;
  let pruneAt = 0;
  return new Loop({
    name: "upkeep",
    pauseMs: options.pauseMs,
    log: options.log,
    runOnce: async () => {
      const isMoreDue = await options.sweep();
      const expired = await upkeep.expired(EXPIRED_LIMIT);
      await Promise.all(expired.map((state) => removeExpired(state, options.remove)));
      if (expired.length === EXPIRED_LIMIT) return true;
      if (options.historyDays === 0 || systemClock.now() < pruneAt) return isMoreDue;
      const before = new Date(systemClock.now() - options.historyDays * DAY_MS);
      const forgotten = await upkeep.prune(before, PRUNE_LIMIT);
      if (forgotten >= PRUNE_LIMIT) return true;
      pruneAt = systemClock.now() + PRUNE_EVERY_MS;
      return isMoreDue;
    },
  });
}

async function removeExpired(
  state: { readonly namespace: string; readonly id: string; readonly version: bigint },
  remove: (changeset: Changeset) => Promise<unknown>,
): Promise<void> {
  const { namespace, id, version } = state;
  try {
    await remove({
      namespace,
      changes: [{ op: "delete", id, expectedVersion: version }],
      actor: "agent_runtime",
      cause: "expired",
    });
  } catch (error) {
    // Somebody wrote it meanwhile: it may have been given more time. Or its scope was put on hold.
    const passing = ["VERSION_CONFLICT", "GONE", "SCOPE_ON_HOLD"];
    if (error instanceof AgentRuntimeError && passing.includes(error.code)) return;
    throw error;
  }
}
