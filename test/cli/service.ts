import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { startService } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import { run } from "./fake-terminal.ts";
import type { Ended } from "./fake-terminal.ts";

type RunOptions = Parameters<typeof run>[1];

/** A service on embedded PostgreSQL, and a folder, for all tests of a file. */
export class TestService {
  #child: Child | undefined;
  #folder = "";
  #url = "";

  get url(): string {
    return this.#url;
  }

  /** Where the service keeps its data, and where commands of tests run. */
  get folder(): string {
    return this.#folder;
  }

  get child(): Child {
    if (this.#child === undefined) throw new Error("the service has not been started");
    return this.#child;
  }

  /** Starts it; again after it was killed: on the same data, and at the same address. */
  async start(): Promise<void> {
    if (this.#folder === "") this.#folder = await mkdtemp(join(tmpdir(), "art-cli-"));
    const again = this.#url === "" ? [] : ["--listen", new URL(this.#url).host];
    const args = ["--data-dir", join(this.#folder, "data"), "--log-level", "warn", ...again];
    const { child, url } = await startService(args);
    this.#child = child;
    this.#url = url;
  }

  /** `agent_runtime state ARGS` on this service. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return await run(["state", ...args, "--url", this.#url], { cwd: this.#folder, ...options });
  }

  /** The same, for a command that must succeed: its output. */
  async output(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }

  async stop(): Promise<void> {
    await this.#child?.kill("SIGTERM");
    if (this.#folder !== "") await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The service that all tests of this file share. */
export function useService(): TestService {
  const service = new TestService();
  beforeAll(() => service.start(), 120_000);
  afterAll(() => service.stop());
  return service;
}
