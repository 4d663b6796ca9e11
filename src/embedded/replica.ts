import { readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../service/clock.ts";
import { BackgroundServer } from "./background-server.ts";
import { receiveBaseBackup } from "./base-backup.ts";
import { clusterFolder, majorOf, serverUser } from "./cluster.ts";
import type { ClusterTools } from "./cluster.ts";
import { systemIdentifier } from "./control-file.ts";
import { syncPath, syncTree, writeFileDurably } from "./durable-file.ts";
import { giveToServers } from "./identity.ts";
import { superviseServer } from "./launch.ts";
import type { Launch } from "./launch.ts";
import { endLeftovers } from "./leftovers.ts";
import { askReplica } from "./replica-facts.ts";
import { ReplicaHealth, whyNotKept } from "./replica-health.ts";
import { serverAddress } from "./servers.ts";
import { REPLICA_SLOT } from "./settings.ts";
import type { Supervisor } from "./supervisor.ts";
import { WireConnection } from "./wire-connection.ts";

const LOOK_EVERY_MS = 2_000;
/** A replica that dies so often in a row does so because of what it reads. */
const DEATH_LIMIT = 5;
/** As much again stays free: a copy must not take from main the room that it needs. */
const ROOM_FACTOR = 2;
/** The file that makes a server a replica. */
const STANDBY = "standby.signal";

/**
 * The streaming replica of main. It is copied from main where it is missing, damaged, or cannot
 * follow any more, while the other servers serve.
 */
export function openReplica(launch: Launch): BackgroundServer {
  return new BackgroundServer({
    name: "readonly",
    log: launch.log,
    prepare: async ({ unusable, signal, report }) => {
      const reason = unusable ?? (await whyUnusable(launch, signal));
      if (reason !== undefined) {
        report("seeding", reason);
        launch.log.info({ server: "readonly", reason }, "copying main into a new replica");
        await seedReplica(launch, signal);
      }
      return await superviseServer(launch, "readonly", DEATH_LIMIT);
    },
    watch: (supervisor, signal) => watchReplica(launch, supervisor, signal),
    onRestarted: () => launch.onRestarted("readonly"),
  });
}

/** Makes main keep nothing for a replica any more. */
export async function dropReplicaSlot(launch: Launch): Promise<void> {
  const connection = await WireConnection.open(serverAddress(launch.runFolder, "main"));
  const slot = `from pg_replication_slots where slot_name = '${REPLICA_SLOT}'`;
  try {
    await connection.query(`select pg_terminate_backend(active_pid, 5000) ${slot} and active`);
    await connection.query(`select pg_drop_replication_slot(slot_name) ${slot}`);
  } finally {
    connection.close();
  }
}

/** Why it must be copied; nothing where it can follow main, or main cannot be asked now. */
async function whyUnusable(launch: Launch, signal: AbortSignal): Promise<string | undefined> {
  const reason = await whyNoReplica(launch.tools);
  if (reason !== undefined) return reason;
  const facts = await askReplica(launch, signal).catch(() => undefined);
  return facts === undefined ? undefined : whyNotKept(facts);
}

/** Why what lies in the folder is no replica of main; nothing where it is one. */
async function whyNoReplica(tools: ClusterTools): Promise<string | undefined> {
  const [folder, main] = [clusterFolder(tools, "readonly"), clusterFolder(tools, "main")];
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined) return "there is none yet";
  const made = await readFile(path.join(folder, "PG_VERSION"), "utf8").catch(() => "");
  if (Number(made) !== majorOf(tools.version)) return "it is damaged, or of another version";
  if (found.uid !== (serverUser(tools) ?? found.uid)) return "it belongs to another user";
  const signalFile = await stat(path.join(folder, STANDBY)).catch(() => undefined);
  if (signalFile === undefined) return "it was no replica any more";
  if ((await systemIdentifier(folder)) === (await systemIdentifier(main))) return undefined;
  return "it is of another main";
}

/**
 * Copies main. The copy is made under another name and gets its own when it is complete and on
 * disk; what is thrown away loses its name first. So nothing half is ever taken for a replica.
 */
async function seedReplica(launch: Launch, signal: AbortSignal): Promise<void> {
  const { tools } = launch;
  const folder = clusterFolder(tools, "readonly");
  const [draft, old] = [`${folder}.new`, `${folder}.old`];
  await endLeftovers(folder, launch.log);
  await dropReplicaSlot(launch); // And main answers: what is there is not thrown away in vain.
  await rm(draft, { recursive: true, force: true });
  await rm(old, { recursive: true, force: true });
  await rename(folder, old).catch(() => {}); // A first one.
  await rm(old, { recursive: true, force: true });
  await receiveBaseBackup({
    address: serverAddress(launch.runFolder, "main"),
    folder: draft,
    withLog: false, // It streams what it needs: from here on main keeps it.
    withDigests: false,
    roomFactor: ROOM_FACTOR,
    before: `CREATE_REPLICATION_SLOT ${REPLICA_SLOT} PHYSICAL RESERVE_WAL`,
    signal,
  });
  await writeFileDurably(path.join(draft, STANDBY), "");
  await syncTree(draft);
  await giveToServers(tools.identity, draft);
  await rename(draft, folder);
  await syncPath(tools.dataDir);
}

/** Resolves when the replica will not catch up any more, with the reason. */
async function watchReplica(
  launch: Launch,
  supervisor: Supervisor,
  signal: AbortSignal,
): Promise<string> {
  const health = new ReplicaHealth(systemClock.monotonicMs());
  for (;;) {
    await pause(LOOK_EVERY_MS, undefined, { signal, ref: false });
    const complains = /FATAL|PANIC/.test(supervisor.lastWords());
    const facts = await askReplica(launch, signal).catch(() => undefined);
    const nowMs = systemClock.monotonicMs();
    if (facts === undefined) health.excuse(nowMs);
    else {
      const reason = health.judge({ ...facts, complains }, nowMs);
      if (reason !== undefined) return reason;
    }
  }
}
