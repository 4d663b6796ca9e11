import type { Launch } from "./launch.ts";
import type { ReplicaFacts } from "./replica-health.ts";
import { serverAddress } from "./servers.ts";
import type { ServerAddress } from "./servers.ts";
import { REPLICA_SLOT } from "./settings.ts";
import { WireConnection } from "./wire-connection.ts";

const QUESTION = `
  select s.wal_status, r.pid is not null, r.replay_lsn,
         coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), r.replay_lsn), 0)
    from pg_replication_slots s left join pg_stat_replication r on r.pid = s.active_pid
   where s.slot_name = '${REPLICA_SLOT}'`;

/** What main tells of its replica; throws where main cannot be asked. */
export async function askReplica(
  { runFolder }: Launch,
  signal: AbortSignal,
): Promise<Omit<ReplicaFacts, "complains">> {
  const row = await askOne(serverAddress(runFolder, "main"), QUESTION, signal);
  const [status = "", isStreaming = "f", replayed = "", behind = "0"] = row ?? [];
  const facts = {
    slot: row === undefined ? "missing" : status === "lost" ? "lost" : "held",
    isStreaming: isStreaming === "t",
    replayed,
    behindBytes: Number(behind),
    isPaused: false,
  } as const;
  if (!facts.isStreaming || facts.behindBytes === 0) return facts;
  const replica = serverAddress(runFolder, "readonly");
  const question = "select pg_get_wal_replay_pause_state()";
  // It answers questions only once it is consistent.
  const [pauseState] = (await askOne(replica, question, signal).catch(() => undefined)) ?? [];
  return { ...facts, isPaused: pauseState !== undefined && pauseState !== "not paused" };
}

async function askOne(address: ServerAddress, question: string, signal: AbortSignal) {
  const connection = await WireConnection.open(address, { signal });
  try {
    const [rows = []] = await connection.query(question);
    return rows[0];
  } finally {
    connection.close();
  }
}
