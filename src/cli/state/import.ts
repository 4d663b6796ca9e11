import type { Command } from "commander";
import { AgentRuntimeError } from "../../state/errors.ts";
import { parseExportLine } from "../export-format.ts";
import { CommandFailed } from "../failure.ts";
import { withExamples } from "../help.ts";
import { importBatch, importKey } from "../import-batch.ts";
import type { ImportContext, ImportItem } from "../import-batch.ts";
import { toJson } from "../print/json.ts";
import { formatCount } from "../print/numbers.ts";
import { Progress } from "../print/progress.ts";
import { printable } from "../print/text.ts";
import { openLines } from "../read-input.ts";
import type { Line } from "../read-input.ts";
import { withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface ImportFlags extends ServiceOptions {
  readonly again: string;
}

/** A line that was refused. */
interface Refusal {
  readonly line: number;
  readonly id: string | null;
  readonly code: string;
  readonly message: string;
}

const BATCH_ITEMS = 500;
/** A quarter of what the service takes in one request, unless it was configured otherwise. */
const BATCH_CHARACTERS = 4 * 1024 * 1024;
const MAX_REFUSALS_SHOWN = 100;
const MAX_REFUSALS_KEPT = 1_000;

/** Adds `import`: what `export` wrote, into this service. */
export function addImport(group: Command, terminal: Terminal): void {
  const command = group
    .command("import")
    .description("import states that export wrote")
    .argument("<file>", "JSON Lines, plain or .gz; - for standard input")
    .option("--again <name>", "a new name imports again what was imported before", "")
    .action((file: string, flags: ImportFlags) => importFile(file, flags, terminal));
  withExamples(withServiceOptions(command), [
    ["agent_runtime state import states.jsonl", "safe to repeat"],
    ["agent_runtime state import states.jsonl --again monday", "import again, over later changes"],
    [`echo '{"id":"a","type":"note","data":{}}' | agent_runtime state import -`, "one state"],
  ]);
}

async function importFile(file: string, flags: ImportFlags, terminal: Terminal): Promise<void> {
  const { lines, totalBytes } = await openLines(file, terminal);
  const progress = new Progress({
    screen: terminal.stderr,
    total: totalBytes,
    isQuiet: flags.json === true,
  });
  const tally = new Tally(progress);
  try {
    await withClient(flags, async (client) => {
      const context: ImportContext = {
        client,
        signal: terminal.signal,
        isPatient: () => tally.hasBegun,
        onTrouble: () => tally.trouble(),
      };
      await importLines(lines, { again: flags.again, context, tally });
    });
  } catch (error) {
    if (!terminal.signal.aborted) throw error;
    const next = "repeat the command to continue where it stopped";
    throw new CommandFailed(`interrupted: ${tally.sentence()}`, { next, cause: error });
  } finally {
    progress.end();
  }
  await writeLine(terminal.stdout, flags.json ? toJson(tally.report()) : tally.sentence());
  if (tally.refused > 0) {
    throw new CommandFailed(`${formatCount(tally.refused)} of the lines were refused`, {
      next: "correct them and import the file again: what is done is not done twice",
    });
  }
}

interface ImportWork {
  readonly again: string;
  readonly context: ImportContext;
  readonly tally: Tally;
}

async function importLines(lines: AsyncIterable<Line>, work: ImportWork): Promise<void> {
  const { again, context, tally } = work;
  let batch: ImportItem[] = [];
  let characters = 0;
  const flush = async (): Promise<void> => {
    const full = batch;
    batch = [];
    characters = 0;
    if (full.length === 0) return;
    for (const { item, did } of await importBatch(full, context)) {
      if (did instanceof AgentRuntimeError) tally.refuse(item.line, item.state.id, did);
      else tally.take(did);
    }
  };
  for await (const { number, text, bytesRead } of lines) {
    // The batch that this line would make too large goes first.
    if (batch.length === BATCH_ITEMS || characters + text.length > BATCH_CHARACTERS) await flush();
    tally.readUpTo(bytesRead);
    const item = readLine(number, text, { again, tally });
    if (item === undefined) continue;
    batch.push(item);
    characters += text.length;
  }
  await flush();
}

function readLine(
  line: number,
  text: string,
  { again, tally }: { readonly again: string; readonly tally: Tally },
): ImportItem | undefined {
  if (text.trim() === "") return undefined;
  try {
    const state = parseExportLine(text);
    return state === undefined ? undefined : { line, state, key: importKey(text, again) };
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    tally.refuse(line, null, error);
    return undefined;
  }
}

/** Counts what became of the lines, and shows it. */
class Tally {
  readonly #progress: Progress;
  readonly #refusals: Refusal[] = [];
  #imported = 0;
  #before = 0;
  #refused = 0;
  #bytesRead = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  get refused(): number {
    return this.#refused;
  }

  get hasBegun(): boolean {
    return this.#imported + this.#before > 0;
  }

  readUpTo(bytes: number): void {
    this.#bytesRead = bytes;
    this.#progress.update(bytes, this.sentence());
  }

  take(did: "import" | "before"): void {
    if (did === "import") this.#imported += 1;
    else this.#before += 1;
  }

  refuse(line: number, id: string | null, error: AgentRuntimeError): void {
    const { code, message } = error;
    this.#refused += 1;
    if (this.#refused <= MAX_REFUSALS_KEPT) this.#refusals.push({ line, id, code, message });
    if (this.#refused <= MAX_REFUSALS_SHOWN) {
      const what = id === null ? "" : ` (${id})`;
      this.#progress.line(printable(`line ${line}${what}: ${message}`));
    } else if (this.#refused === MAX_REFUSALS_SHOWN + 1) {
      this.#progress.line("and more, which are counted only");
    }
  }

  trouble(): void {
    this.#progress.update(this.#bytesRead, "the service does not answer; waiting for it ...");
  }

  sentence(): string {
    const before = this.#before === 0 ? "" : `, ${formatCount(this.#before)} were there before`;
    const refused = this.#refused === 0 ? "" : `, ${formatCount(this.#refused)} refused`;
    return `imported ${formatCount(this.#imported)} states${before}${refused}`;
  }

  report(): object {
    const counts = { imported: this.#imported, importedBefore: this.#before };
    return { ...counts, refused: this.#refused, refusals: this.#refusals };
  }
}
