import { resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { CommandFailed, EXIT, UsageError } from "../failure.ts";
import { withExamples } from "../help.ts";
import { configOf, withHomeOptions, withProgress } from "../home-options.ts";
import type { HomeFlags } from "../home-options.ts";
import { formatBytes } from "../print/numbers.ts";
import { toJson } from "../print/json.ts";
import { printable } from "../print/text.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { restoreLines } from "./restore-lines.ts";

interface RestoreFlags extends HomeFlags {
  readonly fromBackup?: string;
  readonly from?: "rollback";
  readonly promoted?: true;
  readonly moveMain?: true;
}

/** Adds `restore`: a home out of what was kept of it, or main out of the rollback database. */
export function addRestore(group: Command, terminal: Terminal): void {
  const command = group
    .command("restore")
    .description(
      "rebuild a lost main from the rollback database, or an embedded home from a backup",
    )
    .addOption(
      new Option("--from <database>", "rollback: rebuild main in an empty database")
        .choices(["rollback"])
        .conflicts("fromBackup"),
    )
    .option("--promoted", "with --from: stop at the step that a rollback would restore")
    .option("--move-main", "with --from: set an existing embedded main aside first")
    .option("--from-backup <folder>", "a folder made by `backup`; it is verified first")
    .action((flags: RestoreFlags) => restore(flags, terminal));
  withExamples(withHomeOptions(command), [
    ["agent_runtime state restore --from rollback", "rebuild main, and list what is lost"],
    [
      "agent_runtime state restore --from-backup backups/monday --data-dir restored",
      "make a new home",
    ],
    ["agent_runtime state --data-dir restored", "serve from it"],
  ]);
}

async function restore(flags: RestoreFlags, terminal: Terminal): Promise<void> {
  const { from, fromBackup } = flags;
  if (from === "rollback") return await restoreMain(flags, terminal);
  if (fromBackup === undefined) {
    throw new UsageError("say what to restore from: --from rollback, or --from-backup FOLDER");
  }
  if (flags.promoted === true || flags.moveMain === true) {
    throw new UsageError("--promoted and --move-main require --from rollback");
  }
  await restoreBackup(fromBackup, flags, terminal);
}

async function restoreMain(flags: RestoreFlags, terminal: Terminal): Promise<void> {
  const config = configOf(flags, terminal);
  const module = await import("../../runtime/restore-main.ts");
  const until = flags.promoted === true ? "promoted" : "newest";
  const report = await withProgress(
    terminal,
    (call) => module.restoreMain(config, { until, mayMoveMain: flags.moveMain === true, ...call }),
    (scopes) => `${scopes} scopes`,
  );
  const text = flags.json
    ? toJson(report)
    : restoreLines(report, terminal.stdout.columns).join("\n");
  await writeLine(terminal.stdout, text);
  if (report.losses.length === 0 && report.copiedAll) return;
  throw new CommandFailed("main is restored, but some of its steps are lost", {
    exitCode: EXIT.incomplete,
    next: "review what is lost, release the scopes that are on hold, then start the service",
  });
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
