import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";

/** A change as the consumer wrote it down. */
export interface Entry {
  readonly scope: string;
  readonly step: string;
  readonly id: string;
  readonly version: string;
  readonly kind: string;
  readonly digest: string;
  readonly data: unknown;
  /** The consumer was told that versions before it are missing. */
  readonly isMissing: boolean;
}

/** What a consumer wrote down, read as it grows; what came before is dropped, what is wrong is named. */
export class Journal {
  /** Of every state, what came last: what a consumer that knows messages alone has built. */
  readonly states = new Map<string, Entry>();
  /** What does not follow from what came before it. */
  readonly faults: string[] = [];
  /** Changes that were handed to it once more. */
  again = 0;
  readonly #changes = new Set<string>();
  readonly #steps = new Map<string, bigint>();
  readonly #file: string;
  #readTo = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Every change that came, once each, as `changeName` has them. */
  get changes(): ReadonlySet<string> {
    return this.#changes;
  }

  /** Takes in what was written since; half a line waits for its other half. */
  read(): this {
    if (!existsSync(this.#file)) return this;
    const text = this.#next();
    const end = text.lastIndexOf(0x0a) + 1;
    this.#readTo += end;
    const lines = text.subarray(0, end).toString("utf8").split("\n").slice(0, -1);
    for (const line of lines) this.#take(JSON.parse(line) as Entry);
    return this;
  }

  #next(): Buffer {
    const descriptor = openSync(this.#file, "r");
    try {
      const bytes = Buffer.alloc(fstatSync(descriptor).size - this.#readTo);
      return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, this.#readTo));
    } finally {
      closeSync(descriptor);
    }
  }

  #take(entry: Entry): void {
    const { id, scope } = entry;
    const name = changeName(entry);
    if (entry.isMissing) this.faults.push(`told that versions are missing before: ${name}`);
    if (this.#changes.has(name)) {
      this.again += 1;
      return;
    }
    this.#changes.add(name);
    const expected = BigInt(this.states.get(id)?.version ?? 0) + 1n;
    if (BigInt(entry.version) !== expected) this.faults.push(`not version ${expected}: ${name}`);
    const step = this.#steps.get(scope) ?? 0n;
    if (BigInt(entry.step) < step) this.faults.push(`after step ${step}: ${name}`);
    this.#steps.set(scope, BigInt(entry.step));
    this.states.set(id, entry);
  }
}

/** By which two changes are the same: where it stands, what it is, and its digest. */
export function changeName(change: Omit<Entry, "data" | "isMissing">): string {
  const { scope, step, id, version, kind, digest } = change;
  return [scope, step, id, version, kind, digest].join(" ");
}
