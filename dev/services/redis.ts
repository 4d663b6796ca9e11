import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { RedisBinary } from "../../scripts/parts.d.mts";
import { onFreePort } from "./free-port.ts";
import { Guard } from "./guard.ts";
import { Program } from "./program.ts";

/** Where clients find it. */
export interface RedisAddress {
  /** With a user who may do what the cache does, and no more. */
  readonly url: string;
  /** With one who may do everything. */
  readonly adminUrl: string;
}

export interface RedisOptions {
  readonly binary: RedisBinary;
  /** Where what it saves stays, made where it is missing; unsaid: a temporary folder that goes. */
  readonly folder?: string;
  /** Lines of its configuration, over those of here. */
  readonly settings?: readonly string[];
}

/** Commands of the cache. Each is in DragonflyDB's table of supported commands, so Redis may stand in for it. */
export const CACHE_COMMANDS: readonly string[] = [
  "hello",
  "select",
  "ping",
  "get",
  "mget",
  "getrange",
  "set",
  "eval",
  "evalsha",
];

/**
 * Starts a Redis on a free port of this machine: it speaks the protocol of DragonflyDB, which no package
 * archive has. It ends with this process, however that ends.
 */
export async function startRedis(options: RedisOptions): Promise<Redis> {
  const isKept = options.folder !== undefined;
  const folder = isKept ? resolve(options.folder) : await mkdtemp(join(tmpdir(), "art-redis-"));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const guard = new Guard(isKept ? undefined : folder);
  try {
    return await onFreePort(async (port) => {
      const redis = new Redis(folder, options, { guard, port });
      await redis.start();
      return redis;
    });
  } catch (error) {
    await guard.release();
    throw error;
  }
}

/** A Redis that runs, and what may happen to it. */
export class Redis {
  readonly address: RedisAddress;
  readonly folder: string;
  readonly #options: RedisOptions;
  readonly #guard: Guard;
  readonly #port: number;
  readonly #password = randomBytes(12).toString("hex");
  #program: Program | undefined;

  constructor(
    folder: string,
    options: RedisOptions,
    place: { readonly guard: Guard; readonly port: number },
  ) {
    this.folder = folder;
    this.#options = options;
    this.#guard = place.guard;
    this.#port = place.port;
    const at = (user: string): string =>
      `redis://${user}:${this.#password}@127.0.0.1:${this.#port}`;
    this.address = { url: at("cache"), adminUrl: at("admin") };
  }

  /** Starts it where it was before, with what it saved last; resolves when it serves. */
  async start(): Promise<void> {
    const file = join(this.folder, "redis.conf");
    await writeFile(file, this.#settings(), { mode: 0o600 });
    const program = Program.start(this.#options.binary.file, {
      args: [file],
      cwd: this.folder,
      detached: true,
      name: "Redis",
    });
    this.#guard.watch(program.child);
    this.#program = program;
    await program.says(/Ready to accept connections/);
  }

  /** Ends it as a crash does: what it did not save is lost. */
  async kill(): Promise<void> {
    this.#running.child.kill("SIGKILL");
    await this.#running.ended;
  }

  /** Makes it stand still: its connections stay, nothing answers. */
  freeze(): void {
    this.#running.child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#running.child.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.#guard.release();
  }

  get #running(): Program {
    if (this.#program === undefined) throw new Error("Redis was never started");
    return this.#program;
  }

  #settings(): string {
    const commands = CACHE_COMMANDS.map((command) => `+${command}`).join(" ");
    const lines = [
      "bind 127.0.0.1",
      `port ${this.#port}`,
      `dir ${this.folder}`,
      'save ""',
      "maxmemory 256mb",
      "maxmemory-policy allkeys-lru",
      "user default off",
      `user admin on >${this.#password} ~* &* +@all`,
      `user cache on >${this.#password} ~* resetchannels -@all ${commands}`,
      ...(this.#options.settings ?? []),
    ];
    return `${lines.join("\n")}\n`;
  }
}
