import { SieveCache } from "../service/sieve-cache.ts";
import { applyDelta, deltaToPatch } from "../state/delta.ts";
import type { Delta } from "../state/delta.ts";
import type { Json } from "../state/json.ts";
import { deepFreeze } from "../state/json-check.ts";
import type { FeedRow, StateStore } from "../state/ports.ts";
import type { Change, PatchOperation } from "../state/state.ts";

/** Documents that the next delta will be put upon. */
const KEEP = { entries: 2_000, bytes: 64 * 1024 * 1024 };

/** A change whose document is larger carries only its digest and its patch. */
const MAX_INLINE_BYTES = 256 * 1024;

interface Document {
  readonly version: bigint;
  readonly data: Json;
  readonly bytes: number;
}

interface Content {
  readonly data?: Json;
  readonly patch?: readonly PatchOperation[];
}

/** Makes rows of the log into changes: documents put together, once for all who watch. */
export class ChangeReader {
  readonly #store: Pick<StateStore, "feed">;
  readonly #documents = new SieveCache<bigint, Document>(KEEP);
  readonly #contents = new WeakMap<FeedRow, Promise<Content>>();

  constructor(store: Pick<StateStore, "feed">) {
    this.#store = store;
  }

  async read(row: FeedRow, cursor: string, withData: boolean): Promise<Change> {
    let content: Content = {};
    if (withData) {
      let pending = this.#contents.get(row);
      if (pending === undefined) {
        pending = this.#content(row);
        this.#contents.set(row, pending);
      }
      content = await pending;
    }
    return {
      cursor,
      namespace: row.namespace,
      scope: row.scope,
      step: row.step,
      id: row.id,
      type: row.type,
      version: row.version,
      kind: row.kind,
      phase: row.phase,
      ...content,
      cause: row.cause,
      actor: row.actor,
      digest: row.digest,
      at: row.committedAt,
      ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    };
  }

  async #content(row: FeedRow): Promise<Content> {
    if (row.body === null) return { data: null };
    const body = JSON.parse(row.body) as Json;
    if (row.stored === "full") {
      const data = deepFreeze(body);
      this.#remember(row, data, row.body.length);
      return row.body.length > MAX_INLINE_BYTES ? {} : { data };
    }
    const delta = body as Delta;
    const before = await this.#before(row);
    if (before === undefined) return {};
    const data = deepFreeze(applyDelta(before.data, delta));
    const bytes = before.bytes + row.body.length;
    this.#remember(row, data, bytes);
    const patch = deltaToPatch(before.data, delta);
    return bytes > MAX_INLINE_BYTES ? { patch } : { data, patch };
  }

  /** What the delta of a row is put upon; undefined where that was pruned since the row was read. */
  async #before(row: FeedRow): Promise<Document | undefined> {
    const known = this.#documents.get(row.stateNo);
    const version = row.version - 1n;
    if (known?.version === version) return known;
    const data = await this.#store.feed.document(row.stateNo, version);
    return data === undefined ? undefined : { version, data, bytes: JSON.stringify(data).length };
  }

  #remember(row: FeedRow, data: Json, bytes: number): void {
    this.#documents.set(row.stateNo, { version: row.version, data, bytes }, bytes * 2);
  }
}
