import { randomUUID } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { freePort } from "../../dev/services/free-port.ts";
import type { Program } from "../../dev/services/program.ts";
import { findParts, openTools, startProgram, writePrivately } from "../../dev/services/tools.ts";
import type { PostgresBinaries } from "../../scripts/parts.d.mts";
import type { Workshop } from "./workshop.ts";

/** A PostgreSQL of this run's own: durable, tuned as one would for this load. */
export class Postgres {
  readonly pid: number;
  readonly binaries: PostgresBinaries;
  readonly port: number;
  readonly password: string;

  private constructor(program: Program, facts: Pick<Postgres, "binaries" | "port" | "password">) {
    this.pid = program.pid;
    this.binaries = facts.binaries;
    this.port = facts.port;
    this.password = facts.password;
  }

  static async start(workshop: Workshop, sharedBuffers: string): Promise<Postgres> {
    const binaries = findPostgres();
    const folder = workshop.newFolder("postgres");
    const tools = await openTools(binaries.bin, folder, workshop.guard);
    const password = randomUUID();
    const passwordFile = join(folder, "password");
    await writePrivately(tools, passwordFile, password);
    const { initdb, postgres } = tools.binaries;
    const data = join(folder, "data");
    // md5, as a connection by scram costs milliseconds of CPU and pgbench makes 64 at each slice.
    const access = ["-U", "postgres", "--auth=md5", `--pwfile=${passwordFile}`];
    await startProgram(tools, [
      initdb,
      "-D",
      data,
      ...access,
      "-E",
      "UTF8",
      "--no-locale",
    ]).output();
    const port = await freePort();
    const args = ["-D", data, "-p", String(port), ...settings(folder, sharedBuffers)];
    const program = startProgram(tools, [postgres, ...args]);
    await program.says(/ready to accept connections/);
    workshop.atEnd(() => program.stop("SIGINT"));
    return new Postgres(program, { binaries, port, password });
  }

  /** A connection string, over loopback TCP. */
  url(database: string): string {
    return `postgres://postgres:${this.password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Rows of one statement in a database. */
  async query<Row extends pg.QueryResultRow>(
    database: string,
    statement: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.url(database) });
    await client.connect();
    try {
      const { rows } = await client.query<Row>(statement, values as unknown[]);
      return rows;
    } finally {
      await client.end();
    }
  }

  async createDatabase(name: string, template?: string): Promise<void> {
    const copy = template === undefined ? "" : ` template ${template} strategy file_copy`;
    await this.query("postgres", `create database ${name}${copy}`);
  }

  async dropDatabase(name: string): Promise<void> {
    await this.query("postgres", `drop database ${name} with (force)`);
  }
}

function settings(socketFolder: string, sharedBuffers: string): string[] {
  const values = {
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    shared_buffers: sharedBuffers,
    max_wal_size: "8GB",
    min_wal_size: "1GB",
    checkpoint_timeout: "15min",
    maintenance_work_mem: "512MB",
    max_connections: "200",
    listen_addresses: "127.0.0.1",
    unix_socket_directories: socketFolder,
  };
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

function findPostgres(): PostgresBinaries {
  const { postgres } = findParts();
  if (postgres.missing === undefined) return postgres;
  throw new Error(`the benchmark needs ${postgres.missing}`);
}
