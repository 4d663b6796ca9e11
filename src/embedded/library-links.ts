import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
} from "node:fs";
import path from "node:path";
import { errorCode } from "./error-code.ts";

interface Link {
  readonly source: string;
  readonly target: string;
}

/**
 * Makes the names under which PostgreSQL looks for its shared libraries, and returns what the
 * environment must say for them to be found.
 *
 * npm packs no symbolic links, and install scripts may be switched off, so this cannot be left to
 * the package. Where the package is not ours to write, the links go into a folder that is.
 */
export function linkLibraries(root: string, linksFolder: string): Record<string, string> {
  const list = path.join(root, "native", "pg-symlinks.json");
  if (!existsSync(list)) return {}; // A package that ships its links, or needs none.
  const links = JSON.parse(readFileSync(list, "utf8")) as Link[];
  const missing = links.filter((link) => !existsSync(path.join(root, link.target)));
  try {
    for (const { source, target } of missing) {
      const from = path.join(root, target);
      makeLink(path.relative(path.dirname(from), path.join(root, source)), from);
    }
    return {};
  } catch (error) {
    if (!isNotWritable(error)) throw error;
  }
  for (const { source, target } of links) {
    makeLink(path.join(root, source), path.join(linksFolder, path.basename(target)));
  }
  const variable = process.platform === "darwin" ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH";
  // The libraries' own folder as well: one that was loaded through a link looks beside the link.
  return { [variable]: `${linksFolder}:${path.join(root, "native", "lib")}` };
}

/** One that leads elsewhere is of a package that was in another place, or of another version. */
function makeLink(to: string, from: string): void {
  mkdirSync(path.dirname(from), { recursive: true, mode: 0o755 });
  if (leadsTo(from) === to) return;
  const draft = `${from}.${randomBytes(4).toString("hex")}`;
  symlinkSync(to, draft);
  renameSync(draft, from); // At once: somebody else may be loading it.
}

function leadsTo(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

function isNotWritable(error: unknown): boolean {
  return ["EACCES", "EPERM", "EROFS"].includes(errorCode(error));
}
