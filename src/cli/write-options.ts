import type { Command } from "commander";
import type { WriteOptions } from "../state/request.ts";
import type { Written } from "../state/state.ts";
import { versionNumber } from "./arguments.ts";
import { given } from "./given.ts";
import { toJson } from "./print/json.ts";
import { printable } from "./print/text.ts";
import { callOptions } from "./service-options.ts";
import type { ServiceOptions } from "./service-options.ts";
import { writeLine } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

/** What every write may say beside what it writes. */
export interface WriteFlags extends ServiceOptions {
  readonly ifVersion?: bigint;
  readonly actor?: string;
  readonly cause?: string;
  readonly key?: string;
}

/** The command with the options of every write. */
export function withWriteOptions(command: Command): Command {
  return command
    .option("--if-version <n>", "only if the state is at this version", versionNumber(1n))
    .option("--actor <name>", "who writes")
    .option("--cause <text>", "why")
    .option("--key <key>", "idempotency key: repeating the command with it is safe");
}

/** The flags as the client takes them. */
export function writeOptions(flags: WriteFlags, terminal: Terminal): WriteOptions {
  const { ifVersion, actor, cause, key } = flags;
  return {
    ...callOptions(terminal),
    ...given({ expectedVersion: ifVersion, actor, cause, idempotencyKey: key }),
  };
}

/** Prints what a write answered. */
export async function printWritten(
  written: Written,
  did: string,
  { json, terminal }: { readonly json: true | undefined; readonly terminal: Terminal },
): Promise<void> {
  await writeLine(terminal.stdout, json ? toJson(written) : formatWritten(written, did));
}

/** `created agent-1: version 1, phase idle, step 1 of scope agent-1`. */
export function formatWritten(written: Written, did: string): string {
  const { id, version, phase, step, scope, replayed } = written;
  const place = `step ${step} of scope ${scope}`;
  const parts = [`version ${version}`, ...(phase === null ? [] : [`phase ${phase}`]), place];
  const again = replayed ? " (done before with this key; nothing changed now)" : "";
  return printable(`${did} ${id}: ${parts.join(", ")}${again}`);
}
