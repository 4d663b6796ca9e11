import { resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { databaseUrl } from "../../config/database-kinds.ts";
import { loadConfig } from "../../config/load.ts";
import { UsageError } from "../failure.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { printable } from "../print/text.ts";
import { CLIENT_VARIABLES } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface MigrateOptions {
  readonly role: "main" | "rollback";
  readonly databaseUrl?: string;
  readonly config?: string;
  readonly dumpSql?: string;
  readonly json?: true;
}

const EXPOSE =
  "over the Data API of a Supabase: add agent_state_api to its exposed schemas\n" +
  "  (Project Settings, Data API; or `[api] schemas` in supabase/config.toml)";

/** Adds `migrate`: the schema of a database, made or brought up to date. */
export function addMigrate(group: Command, terminal: Terminal): void {
  const command = group
    .command("migrate")
    .description("install or upgrade the schema of a database")
    .addOption(
      new Option(
        "--database-url <url>",
        "postgres://..., direct or through a session pooler (default: the one in the configuration)",
      ).conflicts(["config", "dumpSql"]),
    )
    .addOption(
      new Option("--role <role>", "what the database is used for")
        .choices(["main", "rollback"])
        .default("main"),
    )
    .option("--config <file>", "configuration file (default: agent_runtime.yaml, if there is one)")
    .addOption(
      new Option(
        "--dump-sql <dir>",
        "write migration files instead, for example to supabase/migrations",
      ).conflicts("config"),
    )
    .option("--json", "print JSON for programs")
    .action((options: MigrateOptions) =>
      options.dumpSql === undefined
        ? migrate(options, terminal)
        : dump(options.dumpSql, options, terminal),
    );
  withExamples(command, [
    ["agent_runtime state migrate --database-url postgres://...", "install or upgrade the schema"],
    [
      "agent_runtime state migrate --role rollback --database-url postgres://...",
      "the schema of a rollback database",
    ],
    ["agent_runtime state migrate --dump-sql supabase/migrations", "for `supabase db push`"],
  ]);
}

async function migrate(options: MigrateOptions, terminal: Terminal): Promise<void> {
  const url = urlOf(options, terminal);
  const { migrateDatabase } = await import("../../runtime/migrate-database.ts");
  const { applied } = await migrateDatabase(url, options.role);
  if (options.json) return writeLine(terminal.stdout, toJson({ applied }));
  const says = applied.length === 0 ? "nothing to do" : `done: ${applied.join(", ")}`;
  await writeLine(terminal.stdout, `the schema is up to date (${says})`);
  await writeLine(terminal.stderr, EXPOSE);
}

async function dump(
  folder: string,
  { json, role }: MigrateOptions,
  terminal: Terminal,
): Promise<void> {
  const { dumpSchema } = await import("../../runtime/migrate-database.ts");
  const { written, kept } = await dumpSchema(resolve(terminal.cwd, folder), role);
  if (json) return writeLine(terminal.stdout, toJson({ written, kept }));
  for (const name of written) await writeLine(terminal.stdout, printable(name));
  if (written.length === 0) await writeLine(terminal.stderr, "all files exist already");
  await writeLine(terminal.stderr, EXPOSE);
}

/** What `--database-url` names needs no configuration, and no fault of one may stand in its way. */
function urlOf(
  { databaseUrl: url, config: file, role }: MigrateOptions,
  terminal: Terminal,
): string {
  const { cwd, env } = terminal;
  if (url === undefined) {
    const { supabase } = loadConfig({
      env,
      cwd,
      otherVariables: CLIENT_VARIABLES,
      ...given({ file }),
    });
    return supabase[role];
  }
  const parsed = databaseUrl().parse(url, { isText: true, cwd });
  if (parsed.ok) return parsed.value;
  throw new UsageError(`--database-url ${parsed.problems[0]!.says}`);
}
