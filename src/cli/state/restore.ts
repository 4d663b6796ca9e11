import { resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../failure.ts";
import { withExamples } from "../help.ts";
import { configOf, withHomeOptions, withProgress } from "../home-options.ts";
import type { HomeFlags } from "../home-options.ts";
import { formatBytes } from "../print/numbers.ts";
import { toJson } from "../print/json.ts";
import { printable } from "../print/text.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface RestoreFlags extends HomeFlags {
  readonly fromBackup?: string;
}

/** Adds `restore`: a home out of what was kept of it. */
export function addRestore(group: Command, terminal: Terminal): void {
  const command = group
    .command("restore")
    .description("make an embedded home of a backup")
    .option("--from-backup <folder>", "what `backup` made; it is read through first")
    .action((flags: RestoreFlags) => restore(flags, terminal));
  withExamples(withHomeOptions(command), [
    ["agent_runtime state restore --from-backup backups/monday --data-dir restored", "a new home"],
    ["agent_runtime state --data-dir restored", "then serve from it"],
  ]);
}

async function restore(flags: RestoreFlags, terminal: Terminal): Promise<void> {
  const { fromBackup } = flags;
  if (fromBackup === undefined) throw new UsageError("say what from: --from-backup FOLDER");
  await restoreBackup(fromBackup, flags, terminal);
}

async function restoreBackup(name: string, flags: HomeFlags, terminal: Terminal): Promise<void> {
  const folder = resolve(terminal.cwd, name);
  const config = configOf(flags, terminal);
  const { restoreEmbedded } = await import("../../runtime/backup.ts");
  const report = await withProgress(terminal, (call) =>
    restoreEmbedded(config, { folder, ...call }),
  );
  const { dataDir } = config;
  if (flags.json) return await writeLine(terminal.stdout, toJson({ dataDir, folder, ...report }));
  const servers = report.servers.map((server) => server.name).join(" and ");
  const line = `restored ${servers} (${formatBytes(report.bytes)}) as of ${report.createdAt} into ${dataDir}`;
  await writeLine(terminal.stdout, printable(line));
}
