/** One message of PostgreSQL's protocol: a letter, and what belongs to it. */
export interface WireMessage {
  readonly type: string;
  readonly body: Buffer;
}

const HEAD_BYTES = 5;
/** Far above what a server sends of itself: a copy comes in pieces of 32 KiB. */
const LIMIT_BYTES = 64 * 1024 * 1024;

/** Cuts what a server sends into its messages. */
export async function* wireMessages(chunks: AsyncIterable<Buffer>): AsyncGenerator<WireMessage> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = bytes.readInt32BE(at + 1); // counts itself, and not the letter
      if (length < 4 || length > LIMIT_BYTES) throw new Error(`a message of ${length} bytes`);
      const end = at + 1 + length;
      if (end > bytes.length) break;
      const type = String.fromCharCode(bytes[at]!);
      yield { type, body: bytes.subarray(at + HEAD_BYTES, end) };
      at = end;
    }
    rest = bytes.subarray(at);
  }
}
