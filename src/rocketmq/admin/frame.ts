/** A message of RocketMQ's own protocol: a JSON header and a body, each with its length before it. */
export interface Frame {
  readonly header: Header;
  readonly body: Buffer;
}

export interface Header {
  /** What is asked; in an answer 0 where all is well. */
  readonly code: number;
  /** Joins an answer to its question. */
  readonly opaque: number;
  readonly remark?: string | null;
  readonly extFields?: Readonly<Record<string, string>> | null;
}

const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const LANGUAGE = "OTHER";
const VERSION = 407; // of the protocol's servers and clients since 4.9.4: JSON as everybody reads it

export function encodeFrame({ header, body }: Frame): Buffer {
  const whole = { language: LANGUAGE, version: VERSION, flag: 0, ...header };
  const text = Buffer.from(JSON.stringify({ ...whole, serializeTypeCurrentRPC: "JSON" }));
  const lengths = Buffer.alloc(8);
  lengths.writeInt32BE(4 + text.length + body.length, 0);
  lengths.writeInt32BE(text.length, 4); // the first of its bytes says JSON: 0
  return Buffer.concat([lengths, text, body]);
}

/** The first frame of what came, and what is left; undefined where it is not all there yet. */
export function decodeFrame(
  bytes: Buffer,
): { readonly frame: Frame; readonly rest: Buffer } | undefined {
  if (bytes.length < 8) return undefined;
  const length = bytes.readInt32BE(0);
  const headerLength = bytes.readInt32BE(4) & 0xffffff;
  if (length < 4 + headerLength || length > MAX_FRAME_BYTES) {
    throw new Error("what answers there is no RocketMQ name server or broker");
  }
  if (bytes.length < 4 + length) return undefined;
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerLength)) as Header;
  const body = bytes.subarray(8 + headerLength, 4 + length);
  return { frame: { header, body }, rest: bytes.subarray(4 + length) };
}

/** The JSON of a body. Older servers write numbers as keys without quotation marks. */
export function jsonOf(body: Buffer): unknown {
  const text = body.toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(text.replaceAll(/([{,]\s*)(\d+)(\s*:)/g, '$1"$2"$3'));
  }
}
