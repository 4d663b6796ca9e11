import { open } from "node:fs/promises";
import path from "node:path";

const IDENTIFIER_BYTES = 8;

/**
 * The system identifier of a PostgreSQL data folder, which only its copies share with it, in
 * hexadecimal as the machine stores it; nothing where the folder is damaged.
 *
 * It is the first field of pg_control, and always was.
 */
export async function systemIdentifier(clusterDir: string): Promise<string | undefined> {
  const handle = await open(path.join(clusterDir, "global", "pg_control")).catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(IDENTIFIER_BYTES));
    return bytesRead < IDENTIFIER_BYTES ? undefined : buffer.toString("hex");
  } finally {
    await handle.close();
  }
}
