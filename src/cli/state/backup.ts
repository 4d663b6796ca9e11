import { resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../failure.ts";
import { withExamples } from "../help.ts";
import { configOf, withHomeOptions, withProgress } from "../home-options.ts";
import type { HomeFlags } from "../home-options.ts";
import { formatBytes, formatCount } from "../print/numbers.ts";
import { toJson } from "../print/json.ts";
import { printable } from "../print/text.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface BackupFlags extends HomeFlags {
  readonly verify?: true;
}

/** Adds `backup`: a copy of the embedded home, made while its service runs. */
export function addBackup(group: Command, terminal: Terminal): void {
  const command = group
    .command("backup")
    .description("back up the embedded home, whether its service runs or not")
    .argument("<folder>", "where to put the backup: a new or empty folder")
    .option("--verify", "verify an existing backup instead of making one")
    .action((folder: string, flags: BackupFlags) => backup(folder, flags, terminal));
  withExamples(withHomeOptions(command), [
    ["agent_runtime state backup backups/monday", "back up .agent_runtime"],
    ["agent_runtime state backup /mnt/b1 --data-dir /var/lib/agents", "back up another home"],
    [
      "agent_runtime state backup --verify backups/monday",
      "check that it is complete and undamaged",
    ],
  ]);
}

async function backup(name: string, flags: BackupFlags, terminal: Terminal): Promise<void> {
  const { stdout, stderr } = terminal;
  const folder = resolve(terminal.cwd, name);
  const config = configOf(flags, terminal);
  if (config.supabase.main !== "" && flags.dataDir === undefined && flags.verify !== true) {
    throw new UsageError(
      "the states are in the database that supabase.main names: back it up with its own tools, or name an embedded home with --data-dir",
    );
  }
  const { backupEmbedded, verifyEmbedded } = await import("../../runtime/backup.ts");
  const report = await withProgress(terminal, (call) =>
    flags.verify === true
      ? verifyEmbedded({ folder, ...call })
      : backupEmbedded(config, { folder, ...call }),
  );
  if (flags.json) return await writeLine(stdout, toJson({ folder, ...report }));
  for (const { name: server, reason } of report.leftOut) {
    await writeLine(stderr, printable(`${server} was left out: ${reason}`));
  }
  const servers = report.servers.map((server) => server.name).join(" and ");
  const size = `${formatCount(report.files)} files, ${formatBytes(report.bytes)}`;
  const did =
    flags.verify === true ? `${folder} is complete and undamaged` : `backed up to ${folder}`;
  await writeLine(stdout, printable(`${did}: ${servers}, ${size}, of ${report.createdAt}`));
}
