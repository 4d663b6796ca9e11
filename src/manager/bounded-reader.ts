import { PAGE_BYTES } from "../state/page.ts";
import type { StateKey, StoredState } from "../state/ports.ts";
import type { Reader } from "./reader.ts";

/** Reads states until they have a page of bytes together; what comes after that is not read. */
export class BoundedReader {
  readonly #reader: Pick<Reader, "read">;
  readonly #largest: number;
  #left = PAGE_BYTES;
  #reading = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param largest bytes that a document may have: as many are read side by side as surely fit. */
  constructor(reader: Pick<Reader, "read">, largest: number) {
    this.#reader = reader;
    this.#largest = largest;
  }

  /** The state as it is now; null where it never was, or where enough was read. */
  async read(key: StateKey): Promise<StoredState | null> {
    while (this.#reading > 0 && (this.#reading + 1) * this.#largest > this.#left) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#left <= 0) return null;
    this.#reading++;
    try {
      const state = await this.#reader.read(key);
      this.#left -= Buffer.byteLength(state?.text ?? "");
      return state;
    } finally {
      this.#reading--;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }
}
