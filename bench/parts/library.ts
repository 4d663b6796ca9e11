import type { StateManager } from "../../src/manager/state-manager.ts";
import type { JsonObject } from "../../src/state/json.ts";
import { makeDocuments, random } from "./documents.ts";
import { idOf, ownKey, scopeOf, TYPE } from "./keys.ts";

/** What a benchmark asks of the library. */
export type Library = StateManager;

const SEED_CALLERS = 1_024;
const READ_AT_ONCE = 1_000;

/** Creates states 1 to `keys` at version 1. */
export async function seedStates(library: Library, keys: number, bytes = 1_024): Promise<void> {
  const documents = makeDocuments(512, bytes);
  let next = 1;
  const create = async (): Promise<void> => {
    while (next <= keys) {
      const key = next++;
      const options = { scope: scopeOf(key), expectedVersion: 0n };
      await library.updateState(idOf(key), TYPE, documents[key % documents.length]!, options);
    }
  };
  await Promise.all(Array.from({ length: SEED_CALLERS }, create));
}

/** Callers that each know the version of the state they update, and insist on it. */
export class KnownStates {
  readonly #library: Library;
  readonly #versions: bigint[];
  readonly #documents: readonly JsonObject[] = makeDocuments();

  private constructor(library: Library, versions: bigint[]) {
    this.#library = library;
    this.#versions = versions;
  }

  /** States 1 to `keys`, read once, as a program does that goes on where another one stopped. */
  static async read(library: Library, keys: number): Promise<KnownStates> {
    const versions = [0n];
    for (let from = 1; from <= keys; from += READ_AT_ONCE) {
      const count = Math.min(READ_AT_ONCE, keys - from + 1);
      const states = await Promise.all(
        Array.from({ length: count }, (_, index) => library.getState(idOf(from + index))),
      );
      versions.push(...states.map(({ version }) => version));
    }
    return new KnownStates(library, versions);
  }

  /** Updates one of the caller's own states, chosen evenly; throws where it was not at the known version. */
  async update(caller: number, callers: number): Promise<void> {
    const key = ownKey(caller, callers, { keys: this.#versions.length - 1, random });
    const document = this.#documents[random(this.#documents.length)]!;
    const expectedVersion = this.#versions[key]!;
    const { version } = await this.#library.updateState(idOf(key), TYPE, document, {
      expectedVersion,
    });
    if (version !== expectedVersion + 1n) throw new Error(`${idOf(key)} went to ${version}`);
    this.#versions[key] = version;
  }
}
