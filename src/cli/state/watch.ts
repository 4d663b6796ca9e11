import type { Command } from "commander";
import type { WatchOptions } from "../../state/request.ts";
import type { Change, ChangeKind } from "../../state/state.ts";
import { wholeNumber } from "../arguments.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { painter } from "../print/color.ts";
import type { Color, Paint } from "../print/color.ts";
import { toJson } from "../print/json.ts";
import { formatTime } from "../print/numbers.ts";
import { pad, printable, truncate } from "../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface WatchFlags extends ServiceOptions {
  readonly scope?: string;
  readonly id?: string;
  readonly type?: string;
  readonly after?: string;
  readonly limit?: number;
  /** Commander's form of `--no-data`. */
  readonly data: boolean;
}

/** Adds `watch`: every change as it happens, until it is interrupted. */
export function addWatch(group: Command, terminal: Terminal): void {
  const command = group
    .command("watch")
    .description("print every change as it happens, until Ctrl-C")
    .option("--scope <scope>", "only changes of this scope")
    .option("--id <id>", "only changes of this state")
    .option("--type <type>", "only changes of this type")
    .option("--after <cursor>", "resume after this change; 0: start with the oldest one kept")
    .option("--limit <n>", "end after this many changes", wholeNumber(1, 1e12))
    .option("--no-data", "with --json: leave out the documents")
    .action((flags: WatchFlags) => watch(flags, terminal));
  withExamples(withServiceOptions(command), [
    ["agent_runtime state watch", "everything from now on"],
    ["agent_runtime state watch --scope agent-1", "one agent"],
    [
      "agent_runtime state watch --after 0 --json",
      "everything that is kept, then live, for programs",
    ],
  ]);
}

async function watch(flags: WatchFlags, terminal: Terminal): Promise<void> {
  const { json, limit = Infinity } = flags;
  const paint = painter(terminal.stdout, terminal.env);
  let seen = 0;
  let cursor = flags.after;
  await withClient(flags, async (client) => {
    // A watch waits for a service that went away, but not for one that was never there.
    await client.list({ ...callOptions(terminal), limit: 1 });
    for await (const change of client.watch(watchOptions(flags, terminal))) {
      const width = terminal.stdout.columns;
      await writeLine(terminal.stdout, json ? toJson(change) : formatChange(change, paint, width));
      cursor = change.cursor;
      seen += 1;
      if (seen >= limit) break;
    }
  });
  if (!json && cursor !== undefined && terminal.stderr.isTTY === true) {
    await writeLine(terminal.stderr, `\n${seen} changes; resume with --after ${cursor}`);
  }
}

function watchOptions(flags: WatchFlags, terminal: Terminal): WatchOptions {
  const { scope, id, type, after, json, data } = flags;
  return {
    ...given({ scope, id, type, after }),
    // A whole conversation again and again, at each of its messages, helps no reader.
    data: json === true && data,
    signal: terminal.signal,
  };
}

const KIND_COLORS: Readonly<Record<ChangeKind, Color>> = {
  update: "green",
  delete: "red",
  rollback: "yellow",
  repair: "yellow",
};

/** A change on one line: when, where, what. */
export function formatChange(change: Change, paint: Paint, width?: number): string {
  const { at, scope, step, id, version, kind, phase, actor, cause } = change;
  const time = formatTime(at).slice(11);
  // Most ids begin with their scope, which need not be said twice then.
  const place = id.startsWith(scope) ? id : `${id} (${scope})`;
  const facts = [`v${version}`, `step ${step}`, ...(phase === null ? [] : [phase])];
  const why = [actor, cause].filter((each) => each !== null).join(": ");
  const rest = printable(`${place}  ${facts.join("  ")}${why === "" ? "" : `  ${why}`}`);
  const room = width === undefined ? Infinity : Math.max(20, width - time.length - 10);
  return `${paint("dim", time)} ${paint(KIND_COLORS[kind], pad(kind, 8))} ${truncate(rest, room)}`;
}
