import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Program } from "../../dev/services/program.ts";
import type { Slice } from "../measure/load.ts";
import type { Postgres } from "./postgres.ts";
import type { Workshop } from "./workshop.ts";

export interface PgbenchOptions {
  readonly workshop: Workshop;
  readonly postgres: Postgres;
  readonly database: string;
  /** The text of a pgbench script. */
  readonly script: string;
  readonly variables: Readonly<Record<string, string | number>>;
  readonly seconds: number;
  /** Transactions that begin in a second, however long they take; unsaid: as many as go. */
  readonly perSecond?: number;
}

/** A slice of pgbench with so many clients; `p50Ms` and `p99Ms` are its average, it knows no other. */
export type Pgbench = (clients: number) => Promise<Slice>;

/** PostgreSQL's own load generator, on a script; prepared statements, two threads. */
export function pgbench(options: PgbenchOptions): Pgbench {
  const { workshop, postgres, database, script, variables, seconds, perSecond } = options;
  const file = join(workshop.folder, `${randomUUID()}.pgb`);
  writeFileSync(file, script);
  const flags = Object.entries(variables).flatMap(([name, value]) => ["-D", `${name}=${value}`]);
  if (perSecond !== undefined) flags.push("-R", String(perSecond));
  return async (clients) => {
    const program = Program.start(join(postgres.binaries.bin, "pgbench"), {
      args: ["-n", "-M", "prepared", "-f", file, ...flags].concat(
        ["-c", String(clients), "-j", String(Math.min(clients, 2))],
        ["-T", String(Math.max(1, Math.round(seconds)))], // it counts in whole seconds
        ["-h", "127.0.0.1", "-p", String(postgres.port), "-U", "postgres", database],
      ),
      env: { PGPASSWORD: postgres.password },
    });
    const end = (): boolean => program.child.kill();
    workshop.signal.addEventListener("abort", end);
    const output = await program.output();
    workshop.signal.removeEventListener("abort", end);
    const rate = Number(/^tps = ([\d.]+)/m.exec(output)?.[1]);
    const averageMs = Number(/^latency average = ([\d.]+) ms/m.exec(output)?.[1]);
    if (!(rate > 0)) throw new Error(`pgbench said no rate:\n${output}`);
    return { rate, p50Ms: averageMs, p99Ms: averageMs };
  };
}
