import { Option } from "commander";
import type { Command } from "commander";
import type { StateFace } from "../../state/face.ts";
import type { WriteOptions } from "../../state/request.ts";
import type { Written } from "../../state/state.ts";
import { appendArgument } from "../arguments.ts";
import type { AppendArgument } from "../arguments.ts";
import { UsageError } from "../failure.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { readJson } from "../read-input.ts";
import { withClient, withServiceOptions } from "../service-options.ts";
import type { Terminal } from "../terminal.ts";
import { printWritten, withWriteOptions, writeOptions } from "../write-options.ts";
import type { WriteFlags } from "../write-options.ts";

interface SetFlags extends WriteFlags {
  readonly type?: string;
  readonly data?: string;
  readonly merge?: string;
  readonly append?: AppendArgument;
  readonly scope?: string;
  readonly phase?: string;
  readonly createOnly?: true;
}

/** The one thing that `set` does to the state. */
type Action = (client: StateFace, id: string, options: WriteOptions) => Promise<Written>;

/** Adds `set`: create a state, replace it, merge into it, append to it, or move its phase. */
export function addSet(group: Command, terminal: Terminal): void {
  const command = group
    .command("set")
    .description("create or change one state")
    .argument("<id>", "id of the state")
    .option("--type <type>", "with --data: task, agent, lifecycle, shared or a type of your own")
    .option("--data <json>", "the new document: JSON, @FILE, or - for standard input")
    .addOption(
      new Option(
        "--merge <json>",
        "merge into the document (RFC 7396; null removes a field)",
      ).conflicts(["data", "append", "createOnly"]),
    )
    .addOption(
      new Option(
        "--append <pointer=json>",
        "append an item to an array in the document; may be repeated",
      )
        .argParser(appendArgument)
        .conflicts(["data", "createOnly"]),
    )
    .option("--scope <scope>", "the scope that a new state belongs to (default: its own id)")
    .option("--phase <phase>", "the lifecycle phase that it enters")
    .addOption(
      new Option("--create-only", "only if the state does not exist").conflicts(["ifVersion"]),
    )
    .action(async (id: string, flags: SetFlags) => {
      const action = await actionOf(flags, terminal);
      const options = { ...writeOptions(flags, terminal), ...placeOf(flags) };
      const written = await withClient(flags, (client) => action(client, id, options));
      const did = written.created ? "created" : "changed";
      await printWritten(written, did, { json: flags.json, terminal });
    });
  withExamples(withServiceOptions(withWriteOptions(command)), [
    [`agent_runtime state set note-1 --type note --data '{"text":"hi"}'`, "create or replace"],
    [
      `agent_runtime state set note-1 --merge '{"text":"ho"}' --if-version 1`,
      "change one field, without a race",
    ],
    [`agent_runtime state set chat-1 --append '/messages={"role":"user"}'`, "append one item"],
    ["agent_runtime state set task-1 --phase ready", "move it along its lifecycle"],
    ["agent_runtime state set doc-1 --type doc --data @doc.json", "from a file"],
  ]);
}

async function actionOf(flags: SetFlags, terminal: Terminal): Promise<Action> {
  const { type, data, merge, append, phase } = flags;
  if (data !== undefined) {
    if (type === undefined) throw new UsageError("--data needs --type, for example --type note");
    const document = await readJson(data, "--data", terminal);
    return (client, id, options) => client.updateState(id, type, document, options);
  }
  if (type !== undefined) throw new UsageError("--type is only for --data; a type never changes");
  if (append !== undefined) {
    const { path, items } = append;
    return (client, id, options) => client.appendState(id, path, items, options);
  }
  if (merge === undefined && phase === undefined) {
    throw new UsageError("say what to write: --data, --merge, --append or --phase");
  }
  const patch = merge === undefined ? {} : await readJson(merge, "--merge", terminal);
  return (client, id, options) => client.mergeState(id, patch, options);
}

function placeOf({ scope, phase, createOnly }: SetFlags): WriteOptions {
  return given({ scope, phase, expectedVersion: createOnly ? 0n : undefined });
}
