import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess, SpawnOptions } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
} from "node:fs";
import { realpathSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { onTestFinished } from "vitest";
import { findBinaries } from "../../src/embedded/binaries.ts";
import { openEmbeddedHome } from "../../src/embedded/home.ts";
import type { EmbeddedHome, EmbeddedOptions } from "../../src/embedded/home.ts";
import { chooseIdentity, commandAs } from "../../src/embedded/identity.ts";
import type { ServerStatus } from "../../src/embedded/server-status.ts";
import { serverAddress } from "../../src/embedded/servers.ts";
import type { ServerAddress, ServerName } from "../../src/embedded/servers.ts";
import { fixedSettings } from "../../src/embedded/settings.ts";
import type { Logger } from "../../src/service/log-port.ts";

export const isRoot = process.getuid?.() === 0;
export const repository = path.resolve(fileURLToPath(import.meta.url), "../../..");

const nothing = (): void => {};
export const quietLog: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** A folder that anybody may enter and that is gone after the test. */
export function scratchFolder(): string {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), "embedded-")));
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A home that is closed after the test; of main alone, where the test does not say otherwise. */
export async function openHome(
  dataDir: string,
  options: Partial<EmbeddedOptions> = {},
): Promise<EmbeddedHome> {
  const fast = { binaries: "npm", roles: ["main"], log: quietLog } as const;
  const home = await openEmbeddedHome({ dataDir, ...fast, ...options });
  onTestFinished(() => home.close());
  return home;
}

/** A log whose reader can wait for an entry, also for one that was written before. */
export function heardLog(): { readonly log: Logger; until(part: string): Promise<object> } {
  const entries: { readonly message: string; readonly fields: object }[] = [];
  const waiting = new Set<() => void>();
  const write = (fields: object, message: string): void => {
    entries.push({ fields, message });
    for (const look of waiting) look();
  };
  const until = (part: string): Promise<object> =>
    new Promise((resolve) => {
      const look = (): void => {
        const index = entries.findIndex(({ message }) => message.includes(part));
        if (index < 0) return;
        waiting.delete(look);
        resolve(entries.splice(index, 1)[0]!.fields);
      };
      waiting.add(look);
      look();
    });
  return { log: { debug: write, info: write, warn: write, error: write }, until };
}

/** Who waits for the restart of a server. */
export function restartSignal() {
  let waiting: ((name: string) => void) | undefined;
  return {
    next: () => new Promise<string>((resolve) => (waiting = resolve)),
    fire: (name: string) => waiting?.(name),
  };
}

/** The first column of the first row. */
export async function ask(address: ServerAddress, sql: string): Promise<unknown> {
  const client = new pg.Client({ ...address });
  client.on("error", nothing);
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: "array" });
    return (rows as unknown[][])[0]?.[0];
  } finally {
    await client.end();
  }
}

export function statusOf(home: EmbeddedHome, name: ServerName): ServerStatus {
  return home.status().find((server) => server.name === name)!;
}

export function pidOf(home: EmbeddedHome, name: ServerName = "main"): number {
  return statusOf(home, name).pid!;
}

/** The pids of all that works in a server's data, whoever started it. */
export function serverPids(clusterDir: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 1 && readlinkSync(`/proc/${pid}/cwd`) === clusterDir;
      } catch {
        return false;
      }
    });
}

/** Starts a server as a service leaves it that was killed on a system without a death signal. */
export async function startUnwatched(dataDir: string, name: ServerName = "main"): Promise<number> {
  const binaries = findBinaries("npm", path.join(dataDir, "lib"));
  const { identity } = await chooseIdentity(binaries, dataDir);
  const line = [
    binaries.postgres,
    "-D",
    path.join(dataDir, name),
    ...fixedSettings(serverAddress("", name).port, "../run"),
  ];
  const { file, args, ...rest } = commandAs(identity, binaries, line as [string]);
  const child = spawn(file, args, { ...rest, detached: true, stdio: ["ignore", "ignore", "pipe"] });
  await new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error("it ended")));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (/ready to accept (read-only )?connections/.test(text)) resolve();
    });
  });
  return child.pid!;
}

/** Every file below a folder, with its content where it is a file: two calls compare. */
export function snapshot(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      return entry.isFile() ? `${file} ${readFileSync(file, "base64")}` : file;
    })
    .toSorted();
}

/** Compiles the embedded home to JavaScript, as a child of another user has to run it. */
export function compileHome(outDir: string): string {
  const project = path.join(outDir, "tsconfig.json");
  mkdirSync(outDir, { recursive: true });
  const settings = {
    extends: path.join(repository, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      rootDir: path.join(repository, "src"),
      outDir,
      typeRoots: [path.join(repository, "node_modules/@types")],
    },
    include: [path.join(repository, "src/embedded/home.ts")],
  };
  writeFileSync(project, JSON.stringify(settings));
  writeFileSync(path.join(outDir, "package.json"), JSON.stringify({ type: "module" }));
  execFileSync(process.execPath, [
    path.join(repository, "node_modules/typescript/bin/tsc"),
    "-p",
    project,
  ]);
  return path.join(outDir, "embedded/home.js");
}

/** A folder inside the repository's packages, from which a compiled home finds them. */
export function compiledHome(name: string): { readonly module: string; remove(): void } {
  const outDir = path.join(repository, "node_modules/.cache", `${name}-${process.pid}`);
  return {
    module: compileHome(outDir),
    remove: () => rmSync(outDir, { recursive: true, force: true }),
  };
}

export interface ServiceFact {
  readonly event: "log" | "ready" | "interrupted" | "refused" | "closed";
  readonly message?: string;
  readonly code?: string;
  readonly address?: ServerAddress;
  readonly pid?: number;
}

export interface ServiceProcess {
  readonly process: ChildProcess;
  /** The next thing it says that fits; rejects when it ends before that. */
  until(fits: (fact: ServiceFact) => boolean): Promise<ServiceFact>;
  readonly ended: Promise<void>;
}

/** A service in a process of its own, whose home can be killed with it. */
export function startService(input: {
  readonly module: string;
  readonly dataDir: string;
  readonly before?: readonly string[];
  readonly options?: SpawnOptions;
}): ServiceProcess {
  const script = path.join(repository, "test/embedded/service.mjs");
  return startServiceScript({ ...input, script });
}

export function startServiceScript(input: {
  readonly script: string;
  readonly module: string;
  readonly dataDir: string;
  readonly before?: readonly string[];
  readonly options?: SpawnOptions;
}): ServiceProcess {
  const line = [
    ...(input.before ?? []),
    process.execPath,
    input.script,
    input.module,
    input.dataDir,
  ];
  const child = spawn(line[0]!, line.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    ...input.options,
  });
  const facts: ServiceFact[] = [];
  const waiting = new Set<() => void>();
  let over = false;
  let complaint = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  createInterface({ input: child.stdout! }).on("line", (text) => {
    facts.push(JSON.parse(text) as ServiceFact);
    for (const look of waiting) look();
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => {
      over = true;
      for (const look of waiting) look();
      resolve();
    });
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const until = (fits: (fact: ServiceFact) => boolean): Promise<ServiceFact> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const index = facts.findIndex(fits);
        if (index < 0 && !over) return;
        waiting.delete(look);
        if (index < 0)
          reject(new Error(`the service ended: ${complaint} ${JSON.stringify(facts)}`));
        else resolve(facts.splice(index, 1)[0]!);
      };
      waiting.add(look);
      look();
    });
  return { process: child, until, ended };
}
