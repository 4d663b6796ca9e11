import { open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { finished } from "node:stream/promises";
import type { Command } from "commander";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { StateFace } from "../../state/face.ts";
import type { State } from "../../state/state.ts";
import { exportHeader, exportLine } from "../export-format.ts";
import { CommandFailed } from "../failure.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { formatCount } from "../print/numbers.ts";
import { Progress } from "../print/progress.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { mapInOrder } from "../side-by-side.ts";
import { write, writeLine } from "../terminal.ts";
import type { Screen, Terminal } from "../terminal.ts";
import { filterOptions, withFilterOptions } from "./list.ts";
import type { FilterFlags } from "./list.ts";

interface ExportFlags extends ServiceOptions, FilterFlags {
  readonly file?: string;
}

const PAGE_ITEMS = 500;
const READS_AT_ONCE = 16;

/** Adds `export`: states with their documents, as JSON Lines. */
export function addExport(group: Command, terminal: Terminal): void {
  const command = withFilterOptions(
    group.command("export").description("export states with their documents as JSON Lines"),
  )
    .option("--file <file>", "output file (default: standard output)")
    .action((flags: ExportFlags) => exportStates(flags, terminal));
  withExamples(withServiceOptions(command), [
    ["agent_runtime state export --file states.jsonl", "everything"],
    ["agent_runtime state export --scope agent-1 | gzip > agent-1.jsonl.gz", "one agent"],
  ]);
}

async function exportStates(flags: ExportFlags, terminal: Terminal): Promise<void> {
  const count = await withClient(flags, async (client) => {
    if (flags.file === undefined)
      return await writeStates(client, flags, { terminal, to: terminal.stdout });
    return await intoFile(resolve(terminal.cwd, flags.file), (to) =>
      writeStates(client, flags, { terminal, to }),
    );
  });
  await writeLine(terminal.stderr, `exported ${formatCount(count)} states`);
}

async function writeStates(
  client: StateFace,
  flags: ExportFlags,
  { terminal, to }: { readonly terminal: Terminal; readonly to: Screen },
): Promise<number> {
  // A bar between the lines of an export on the same terminal would help nobody.
  const progress =
    to.isTTY === true ? undefined : new Progress({ screen: terminal.stderr, total: undefined });
  const options = { ...filterOptions(flags), ...callOptions(terminal), limit: PAGE_ITEMS };
  let count = 0;
  let after: string | undefined;
  await writeLine(to, exportHeader());
  do {
    const page = await client.list({ ...options, ...given({ after }) });
    const states = await mapInOrder(page.items, READS_AT_ONCE, ({ id }) =>
      readIfThere(client, id, terminal),
    );
    const lines = states.flatMap((state) => (state === undefined ? [] : [exportLine(state)]));
    await write(to, lines.map((line) => `${line}\n`).join(""));
    count += lines.length;
    progress?.update(count, `${formatCount(count)} states`);
    after = page.next;
  } while (after !== undefined);
  progress?.end();
  return count;
}

/** Undefined where it was deleted after the list was read. */
async function readIfThere(
  client: StateFace,
  id: string,
  terminal: Terminal,
): Promise<State | undefined> {
  try {
    return await client.getState(id, callOptions(terminal));
  } catch (error) {
    const isGone =
      error instanceof AgentRuntimeError &&
      (error.code === "GONE" || error.code === "STATE_NOT_FOUND");
    if (isGone) return undefined;
    throw error;
  }
}

/** Under its name only when it is whole and on disk: half an export must not look like one. */
async function intoFile<Result>(
  path: string,
  work: (to: Screen) => Promise<Result>,
): Promise<Result> {
  const draft = `${path}.part`;
  const unwritable = (cause: unknown): CommandFailed => {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new CommandFailed(`${path} cannot be written: ${why}`, { cause });
  };
  const file = await open(draft, "w", 0o600).catch((error: unknown) => {
    throw unwritable(error);
  });
  const stream = file.createWriteStream({ flush: true });
  const failed = new Promise<never>((_, reject) => {
    stream.on("error", (error) => reject(unwritable(error)));
  });
  try {
    const result = await Promise.race([work(stream), failed]);
    stream.end();
    await Promise.race([finished(stream), failed]);
    await rename(draft, path);
    return result;
  } catch (error) {
    stream.destroy();
    await rm(draft, { force: true });
    throw error;
  }
}
