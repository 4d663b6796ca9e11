import type { ByteReader } from "./byte-reader.ts";

/** One thing of a tar archive. */
export interface TarEntry {
  readonly path: string;
  readonly kind: "file" | "folder" | "other";
  readonly bytes: number;
}

const BLOCK_BYTES = 512;

/**
 * The entries of a tar archive (ustar), in its order.
 *
 * The content of a file comes right behind its entry: whoever is handed an entry of `bytes` bytes
 * reads exactly that many from the same reader before it asks for the next one.
 */
export async function* tarEntries(reader: ByteReader): AsyncGenerator<TarEntry> {
  for (;;) {
    const head = await reader.read(BLOCK_BYTES);
    if (head === undefined || head.every((byte) => byte === 0)) break;
    checkSum(head);
    const kind = KINDS[String.fromCharCode(head[156]!)] ?? "other";
    const bytes = kind === "file" ? size(head) : 0;
    const prefix = text(head, 345, 500);
    const name = text(head, 0, 100);
    yield { path: prefix === "" ? name : `${prefix}/${name}`, kind, bytes };
    const fill = -bytes & (BLOCK_BYTES - 1);
    if (fill > 0 && (await reader.read(fill)) === undefined) throw new Error("the archive is cut");
  }
  await reader.drain();
}

const KINDS: Readonly<Record<string, TarEntry["kind"]>> = {
  "0": "file",
  "\0": "file",
  "5": "folder",
};

function text(head: Buffer, from: number, to: number): string {
  const end = head.indexOf(0, from);
  return head.toString("utf8", from, end < 0 ? to : Math.min(end, to));
}

/** Octal digits; or, above 8 GiB, a number to the base of 256 behind a set bit. */
function size(head: Buffer): number {
  if ((head[124]! & 0x80) !== 0) return Number(head.readBigUInt64BE(128));
  return Number.parseInt(text(head, 124, 136).trim(), 8);
}

function checkSum(head: Buffer): void {
  let sum = 8 * 32; // its own place counts as blanks
  for (const [at, byte] of head.entries()) if (at < 148 || at >= 156) sum += byte;
  if (sum !== Number.parseInt(text(head, 148, 156).trim(), 8)) {
    throw new Error("what came is no tar archive");
  }
}
