/** Reads a stream of chunks in the portions that its reader wants. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Exactly so many bytes, or nothing where the stream ends first. */
  async read(bytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0;) {
      const part = await this.take(left);
      if (part === undefined) return undefined;
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** What is there, at least one byte and at most so many; nothing at the end of the stream. */
  async take(most: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      this.#rest = next.value;
    }
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  /** Reads to the end of the stream. */
  async drain(): Promise<void> {
    this.#rest = Buffer.alloc(0);
    while ((await this.#chunks.next()).done !== true);
  }
}
