import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import type { ParkedMessage } from "../../state/parked-port.ts";
import { wholeNumber } from "../arguments.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { formatTime } from "../print/numbers.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { printable } from "../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface ListFlags extends ServiceOptions {
  readonly limit: number;
  readonly after?: string;
}

const COLUMNS: readonly Column<ParkedMessage>[] = [
  { title: "NUMBER", cell: ({ number }) => String(number), align: "right" },
  { title: "PARKED", cell: ({ parkedAt }) => formatTime(parkedAt) },
  { title: "CODE", cell: ({ code }) => code },
  { title: "TRIED", cell: ({ attempts }) => String(attempts), align: "right" },
  { title: "BYTES", cell: ({ bytes }) => String(bytes), align: "right" },
  { title: "GROUP", cell: ({ group }) => group ?? "-", atLeast: 8 },
  { title: "WHY", cell: ({ detail }) => detail, atLeast: 20 },
];

/** Adds `parked`: messages that came in and could never be applied. */
export function addParked(group: Command, terminal: Terminal): void {
  const command = group
    .command("parked")
    .description("handle messages that could not be applied, and changes that could not be sent");
  addList(command, terminal);
  addShow(command, terminal);
  addRedrive(command, terminal);
  addDiscard(command, terminal);
  withExamples(command, [
    ["agent_runtime state parked list", "what is parked, and why"],
    ["agent_runtime state parked redrive 7", "apply message 7 again"],
  ]);
}

function addList(parked: Command, terminal: Terminal): void {
  const command = parked
    .command("list", { isDefault: true })
    .description("list parked messages, oldest first")
    .option("--limit <n>", "maximum number of results", wholeNumber(1, 1_000), 100)
    .option("--after <cursor>", "continue after the previous page")
    .action(async (flags: ListFlags) => {
      const { limit, after } = flags;
      const page = await withClient(flags, (client) =>
        client.parked.list({ ...callOptions(terminal), limit, ...given({ after }) }),
      );
      const lines = flags.json
        ? [toJson(page)]
        : page.items.length === 0
          ? ["nothing is parked"]
          : formatTable(COLUMNS, page.items, terminal.stdout.columns);
      const more = page.next === undefined || flags.json ? [] : [`more: --after ${page.next}`];
      await writeLine(terminal.stdout, [...lines, ...more].join("\n"));
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state parked list", "everything about it"],
  ]);
}

function addShow(parked: Command, terminal: Terminal): void {
  const command = parked
    .command("show")
    .description("show one parked message with its body")
    .argument("<number>", "number of the message", messageNumber)
    .action(async (number: bigint, flags: ServiceOptions) => {
      const message = await withClient(flags, (client) =>
        client.parked.get(number, callOptions(terminal)),
      );
      const { code, detail, topic, messageId, attempts, encoding, body } = message;
      const text = [
        `${code}: ${detail}`,
        `topic ${topic}, ${messageId}, tried ${attempts} times, ${encoding}:`,
        body,
      ];
      await writeLine(
        terminal.stdout,
        flags.json ? toJson(message) : text.map(printable).join("\n"),
      );
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state parked show 7", "its reason and its body"],
  ]);
}

function addRedrive(parked: Command, terminal: Terminal): void {
  const command = parked
    .command("redrive")
    .description("apply a parked message again; it is removed if that succeeds")
    .argument("<number>", "number of the message", messageNumber)
    .action(async (number: bigint, flags: ServiceOptions) => {
      const done = await withClient(flags, (client) =>
        client.parked.redrive(number, callOptions(terminal)),
      );
      const text = `applied: ${printable(done.scope)} is at step ${done.step}`;
      await writeLine(terminal.stdout, flags.json ? toJson(done) : text);
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state parked redrive 7", "once the cause was fixed"],
  ]);
}

function addDiscard(parked: Command, terminal: Terminal): void {
  const command = parked
    .command("discard")
    .description("delete a parked message")
    .argument("<number>", "number of the message", messageNumber)
    .action(async (number: bigint, flags: ServiceOptions) => {
      await withClient(flags, (client) => client.parked.discard(number, callOptions(terminal)));
      const text = flags.json ? toJson({ number }) : `discarded number ${number}`;
      await writeLine(terminal.stdout, text);
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state parked discard 7", "give it up"],
  ]);
}

function messageNumber(text: string): bigint {
  if (/^[1-9][0-9]{0,17}$/.test(text)) return BigInt(text);
  throw new InvalidArgumentError("It is the number that `parked list` shows.");
}
