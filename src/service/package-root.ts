import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface PackageFile {
  readonly name?: unknown;
  readonly version?: unknown;
}

const NAME = "agent-runtime-state";
const found = findPackage(dirname(fileURLToPath(import.meta.url)));

/**
 * The folder that holds package.json, migrations/, examples/ and dashboard/.
 *
 * Found by walking up, so that it is the same from src/, from dist/ and from a bench build, which
 * lie at different depths.
 */
export function packageRoot(): string {
  return found.root;
}

/** The version of this package, as in its package.json. */
export function packageVersion(): string {
  return found.version;
}

/** The nearest folder, from `start` upwards, whose package.json is this package's; throws where there is none. */
export function findPackage(start: string): { readonly root: string; readonly version: string } {
  for (let folder = start; ; folder = dirname(folder)) {
    const file = readPackageFile(join(folder, "package.json"));
    if (file?.name === NAME) return { root: folder, version: String(file.version) };
    if (folder === dirname(folder)) {
      throw new Error(
        `No package.json of ${NAME} in ${start} or above: the installation is not complete.`,
      );
    }
  }
}

function readPackageFile(path: string): PackageFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // most folders on the way up have none
  }
  return JSON.parse(text) as PackageFile;
}
