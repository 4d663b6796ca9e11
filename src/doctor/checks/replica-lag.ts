import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

/** Whether the replica comes to where main is. */
export const replicaLag: Check<DatabaseFacts> = {
  name: "replica follows",
  look: ({ hasCaughtUp, isReplayPaused }) => {
    if (hasCaughtUp !== false) return null;
    return isReplayPaused
      ? fault("its replay is paused", "select pg_wal_replay_resume() on the replica")
      : fault(
          "it did not come to where main stood when it was asked",
          "see pg_stat_replication on main and the replica's log: it may be disconnected, or a long query holds its replay up",
        );
  },
};
