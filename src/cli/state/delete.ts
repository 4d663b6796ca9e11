import type { Command } from "commander";
import { withExamples } from "../help.ts";
import { withClient, withServiceOptions } from "../service-options.ts";
import type { Terminal } from "../terminal.ts";
import { printWritten, withWriteOptions, writeOptions } from "../write-options.ts";
import type { WriteFlags } from "../write-options.ts";

/** Adds `delete`: a tombstone, one version up. */
export function addDelete(group: Command, terminal: Terminal): void {
  const command = group
    .command("delete")
    .description("delete one state; its history is kept")
    .argument("<id>", "id of the state")
    .action(async (id: string, flags: WriteFlags) => {
      const written = await withClient(flags, (client) =>
        client.deleteState(id, writeOptions(flags, terminal)),
      );
      await printWritten(written, "deleted", { json: flags.json, terminal });
    });
  withExamples(withServiceOptions(withWriteOptions(command)), [
    ["agent_runtime state delete note-1", "whatever its version"],
    ["agent_runtime state delete note-1 --if-version 3", "only if nobody changed it since"],
  ]);
}
