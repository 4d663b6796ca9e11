import { chown, lstat, readdir } from "node:fs/promises";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import type { Binaries } from "./binaries.ts";
import { runCommand } from "./command.ts";
import type { Command } from "./command.ts";
import { errorCode } from "./error-code.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** As whom PostgreSQL's programs run, and what stands before each of them on the command line. */
export interface Identity {
  /** For the log: "this user", "root in a user namespace", "uid 65534". */
  readonly label: string;
  /** Stands before each program; empty, or the call of `unshare`. */
  readonly prefix: readonly string[];
  /** Stands before a server, so that it ends with this process; empty where the system cannot. */
  readonly deathWatch: readonly string[];
  /** The user whom the files must belong to, where that is not ourselves. */
  readonly owner?: Owner;
}

export interface Chosen {
  readonly identity: Identity;
  /** What `postgres --version` says, for example "18.4". */
  readonly version: string;
}

type Candidate = Omit<Identity, "deathWatch">;

const PROBE_TIMEOUT_MS = 30_000; // a busy machine must not look like one that forbids it
const NAMESPACE = ["unshare", "-U", "--map-user=65534", "--map-group=65534"];
/** SIGINT is PostgreSQL's fast shutdown. Asked for last: a change of user would take it back. */
const DEATH_WATCH = ["setpriv", "--pdeathsig=INT"];

/**
 * Finds a way to run PostgreSQL, which refuses to run as root, by trying it.
 *
 * As root: a user namespace, in which root is called nobody, works below folders that only root
 * may enter, and leaves the files root's. Where the system forbids that, another user does. A data
 * directory that belongs to another user already keeps its user.
 */
export async function chooseIdentity(binaries: Binaries, dataDir: string): Promise<Chosen> {
  const failures: string[] = [];
  for (const candidate of await candidates(dataDir)) {
    for (const deathWatch of process.platform === "linux" ? [DEATH_WATCH, []] : [[]]) {
      const identity = { ...candidate, deathWatch };
      const probe = await runCommand(probeCommand(identity, binaries, dataDir), {
        timeoutMs: PROBE_TIMEOUT_MS,
      });
      const version = /\(PostgreSQL\) (\d+\S*)/.exec(probe.stdout)?.[1];
      if (version !== undefined) return { identity, version };
      failures.push(`${candidate.label}: ${probe.stderr.split("\n").at(-1) || "no answer"}`);
    }
  }
  throw new AgentRuntimeError("INVALID_CONFIG", explain(binaries, dataDir, failures));
}

/** The command line that runs one of PostgreSQL's programs as this identity. */
export function commandAs(
  identity: Identity,
  binaries: Binaries,
  line: readonly [string, ...string[]],
): Command {
  const [file, ...args] = [...identity.prefix, ...line] as [string, ...string[]];
  return { file, args, env: binaries.env, ...identity.owner };
}

/** Gives a file or folder, with all in it, to the user whom the servers run as. */
export async function giveToServers(identity: Identity, file: string): Promise<void> {
  const { owner } = identity;
  if (owner === undefined) return;
  try {
    const found = await lstat(file);
    if (found.isSymbolicLink()) return;
    if (found.uid !== owner.uid) await chown(file, owner.uid, owner.gid);
    if (!found.isDirectory()) return;
    for (const name of await readdir(file)) await giveToServers(identity, path.join(file, name));
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error; // A server that runs already removed it.
  }
}

async function candidates(dataDir: string): Promise<Candidate[]> {
  if (process.getuid?.() !== 0) return [{ label: "this user", prefix: [] }];
  const { uid, gid } = await lstat(dataDir);
  if (uid !== 0) return [{ label: `uid ${uid}`, prefix: [], owner: { uid, gid } }];
  const list: Candidate[] = [];
  if (process.platform === "linux")
    list.push({ label: "root in a user namespace", prefix: NAMESPACE });
  const nobody = await nobodyOwner();
  if (nobody !== undefined) list.push({ label: `uid ${nobody.uid}`, prefix: [], owner: nobody });
  return list;
}

/** Its number differs between systems, so the system is asked. */
async function nobodyOwner(): Promise<Owner | undefined> {
  const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map((flag) =>
      runCommand({ file: "id", args: [flag, "nobody"], env }, { timeoutMs: PROBE_TIMEOUT_MS }),
    ),
  );
  if (uid?.ok !== true || gid?.ok !== true) return undefined;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

/** Asks all at once: may it become that user, enter the folder, and run the binary? */
function probeCommand(identity: Identity, binaries: Binaries, dataDir: string): Command {
  const script = 'test -x "$0" || { echo "may not enter $0" >&2; exit 1; }; exec "$@"';
  const run = [...identity.deathWatch, binaries.postgres, "--version"];
  // A new owner gets the data directory itself later; what lies above it must be open already.
  const folder = identity.owner === undefined ? dataDir : path.dirname(dataDir);
  return commandAs(identity, binaries, ["sh", "-c", script, folder, ...run]);
}

function explain(binaries: Binaries, dataDir: string, failures: readonly string[]): string {
  const tried = [...new Set(failures)].join("; ");
  if (process.getuid?.() !== 0) {
    return `${binaries.postgres} does not run here (${tried}): the npm binaries need glibc; set \`embedded.binaries\` to the folder of a PostgreSQL of this system`;
  }
  return (
    `PostgreSQL does not run as root, and no other way works here (${tried}): start the service as an ordinary user, ` +
    `or put ${dataDir} and ${path.dirname(binaries.postgres)} where that user may enter`
  );
}
