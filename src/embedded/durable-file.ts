import { randomBytes } from "node:crypto";
import { open, readdir, rename } from "node:fs/promises";
import path from "node:path";

/** Replaces a file so that after a crash either the old or the new text is there, whole. */
export async function writeFileDurably(file: string, text: string, mode = 0o600): Promise<void> {
  const next = `${file}.${randomBytes(4).toString("hex")}.tmp`;
  await writeAndSync(next, "wx", text, mode);
  await rename(next, file);
  await syncPath(path.dirname(file));
}

/** Adds to a file, and waits until it is on disk. */
export async function appendDurably(file: string, text: string): Promise<void> {
  await writeAndSync(file, "a", text, 0o600);
}

/** Makes a file, or the names in a folder (a rename, a new file), survive a power cut. */
export async function syncPath(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const SYNCS_AT_ONCE = 16;

/** Makes everything in a folder, with the names in it, survive a power cut; links are left alone. */
export async function syncTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const paths = entries
    .filter((entry) => entry.isFile() || entry.isDirectory())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const next = [folder, ...paths].values();
  const work = async (): Promise<void> => {
    for (const each of next) await syncPath(each);
  };
  await Promise.all(Array.from({ length: SYNCS_AT_ONCE }, work));
}

async function writeAndSync(file: string, flags: string, text: string, mode: number) {
  const handle = await open(file, flags, mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
