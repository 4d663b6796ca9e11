interface Closable {
  close(): Promise<void>;
}

/** What was opened so far: it is closed in the opposite order, also where a later part could not be opened. */
export class Opened {
  readonly #parts: Closable[] = [];

  /** The part itself; null is none. */
  keep<Part extends Closable | null>(part: Part): Part {
    if (part !== null) this.#parts.push(part);
    return part;
  }

  /** One after the other; safe twice. */
  async close(): Promise<void> {
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      await part.close();
    }
  }
}
