import { randomBytes } from "node:crypto";
import { open, rename } from "node:fs/promises";
import path from "node:path";

/** Replaces a file so that after a crash either the old or the new text is there, whole. */
export async function writeFileDurably(file: string, text: string, mode = 0o600): Promise<void> {
  const next = `${file}.${randomBytes(4).toString("hex")}.tmp`;
  await writeAndSync(next, "wx", text, mode);
  await rename(next, file);
  await syncFolder(path.dirname(file));
}

/** Adds to a file, and waits until it is on disk. */
export async function appendDurably(file: string, text: string): Promise<void> {
  await writeAndSync(file, "a", text, 0o600);
}

/** Makes the names in a folder (a rename, a new file) survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
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
