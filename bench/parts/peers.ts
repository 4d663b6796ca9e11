import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Program } from "../../dev/services/program.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import type { Bench } from "../bench.ts";
import type { Workshop } from "./workshop.ts";

/** What a peer is told. */
export interface PeerOrder {
  readonly url?: string;
  readonly redis?: string;
  readonly count?: number;
  readonly seconds?: number;
}

export type Peer = "graphile-worker" | "pg-boss" | "bullmq" | "dbos" | "langgraph";

/** Others' libraries, at pinned versions, with the Node that they need: in the user's cache, outside of the tree. */
export class Peers {
  readonly #folder: string;
  readonly #workshop: Workshop;
  readonly versions: Readonly<Record<string, string>>;

  private constructor(
    folder: string,
    workshop: Workshop,
    versions: Readonly<Record<string, string>>,
  ) {
    this.#folder = folder;
    this.#workshop = workshop;
    this.versions = versions;
  }

  /** Installs them where they are missing, with npm; throws, saying so, where that is not possible. */
  static async install({
    workshop,
    progress,
  }: Pick<Bench, "workshop" | "progress">): Promise<Peers> {
    const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
    const folder = join(cache, "agent-runtime-state", "bench-peers");
    const source = join(packageRoot(), "bench", "peers");
    const wanted = readFileSync(join(source, "package.json"), "utf8");
    const mark = join(folder, "installed.json");
    mkdirSync(folder, { recursive: true });
    cpSync(source, folder, { recursive: true });
    if (!existsSync(mark) || readFileSync(mark, "utf8") !== wanted) {
      progress(`installing the peers with npm in ${folder}`);
      const args = ["install", "--no-audit", "--no-fund"];
      await Program.start("npm", { args, cwd: folder })
        .output()
        .catch((cause: unknown) => {
          const why = `the peers could not be installed in ${folder}: is the npm registry within reach?`;
          throw new Error(why, { cause });
        });
      cpSync(join(source, "package.json"), mark);
    }
    const { dependencies } = JSON.parse(wanted) as { dependencies: Record<string, string> };
    return new Peers(folder, workshop, dependencies);
  }

  /** What it reached in a process of its own. */
  async rate(peer: Peer, order: PeerOrder): Promise<number> {
    const node = join(this.#folder, "node_modules", "node", "bin", "node");
    const args = [join(this.#folder, `${peer}.mjs`), JSON.stringify(order)];
    const program = Program.start(node, { args, cwd: this.#folder, name: peer });
    const said = await this.#workshop.keep(program).output();
    const { rate } = JSON.parse(said.trim().split("\n").at(-1)!) as { rate: number };
    if (!(rate > 0)) throw new Error(`${peer} measured nothing: ${said}`);
    return rate;
  }
}
