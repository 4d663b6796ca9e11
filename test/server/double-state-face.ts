import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { prepareChangeset } from "../../src/manager/prepare.ts";
import { DEFAULT_LIMITS } from "../../src/manager/limits.ts";
import { applyDelta } from "../../src/state/delta.ts";
import type { Delta } from "../../src/state/delta.ts";
import { describePatch, diffJson } from "../../src/state/diff.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { ErrorCode } from "../../src/state/errors.ts";
import type { BatchOutcome, StateFace } from "../../src/state/face.ts";
import { checkId, checkPhase, checkScope, checkType } from "../../src/state/identifiers.ts";
import { parseFrozen } from "../../src/state/json-check.ts";
import type { Json } from "../../src/state/json.ts";
import { lifecycleOf, mayCreateAs, mayMove } from "../../src/state/lifecycle.ts";
import type { PreparedChange, PreparedUnit } from "../../src/state/ports.ts";
import type {
  CallOptions,
  ChangeRequest,
  Changeset,
  Diff,
  DiffOptions,
  HistoryOptions,
  ListOptions,
  ReadOptions,
  ScopeOptions,
  WatchOptions,
  WriteOptions,
} from "../../src/state/request.ts";
import type {
  Change,
  Committed,
  HistoryEntry,
  Page,
  PatchOperation,
  ScopeStatus,
  State,
  StateSummary,
  Step,
  Version,
  Written,
} from "../../src/state/state.ts";

type Entry = HistoryEntry & { readonly data: Json; readonly deleted: boolean };

interface Kept {
  readonly namespace: string;
  readonly id: string;
  readonly type: string;
  readonly scope: string;
  createdAt: Date;
  expiresAt: Date | null;
  /** By version, from 1 on. */
  readonly entries: Entry[];
}

interface Verdict {
  readonly code: ErrorCode;
  readonly detail?: string;
}

/**
 * A state face in memory, for tests of what stands in front of one.
 *
 * It keeps the face's promises, except that nothing lasts: the contract suite runs on it too.
 */
export class DoubleStateFace implements StateFace {
  readonly #states = new Map<string, Kept>();
  readonly #steps = new Map<string, Step>();
  readonly #keys = new Map<string, { readonly asked: string; readonly answer: Committed }>();
  readonly #feed: Change[] = [];
  readonly #events = new EventEmitter().setMaxListeners(0);
  #forgotten = 0;
  #isClosed = false;

  async updateState(id: string, type: string, data: Json, options: WriteOptions = {}) {
    const { expiresAt } = options;
    const expiry = expiresAt === undefined ? {} : { expiresAt };
    return await this.#one({ op: "update", id, type, data, ...expiry }, options);
  }

  async mergeState(id: string, patch: Json, options?: WriteOptions): Promise<Written> {
    return await this.#one({ op: "merge", id, patch }, options);
  }

  async patchState(id: string, patch: readonly PatchOperation[], options?: WriteOptions) {
    return await this.#one({ op: "patch", id, patch }, options);
  }

  async appendState(id: string, path: string, items: readonly Json[], options?: WriteOptions) {
    return await this.#one({ op: "append", id, path, items }, options);
  }

  async deleteState(id: string, options?: WriteOptions): Promise<Written> {
    return await this.#one({ op: "delete", id }, options);
  }

  async getState(id: string, options: ReadOptions = {}): Promise<State> {
    const kept = this.#find(id, options.namespace);
    const { version } = options;
    const entry = version === undefined ? kept.entries.at(-1)! : kept.entries[Number(version) - 1];
    if (entry === undefined) throw refusal("VERSION_NOT_FOUND", `no version ${version}`);
    if (entry.deleted) throw refusal("GONE", `deleted at version ${entry.version}`);
    return stateOf(kept, entry);
  }

  async commit(changeset: Changeset, options: CallOptions = {}): Promise<Committed> {
    if (this.#isClosed) throw refusal("UNAVAILABLE", "closed");
    if (options.signal?.aborted === true) throw refusal("CANCELED", "the call was taken back");
    return this.#apply(prepareChangeset(changeset, DEFAULT_LIMITS));
  }

  async commitBatch(changesets: readonly Changeset[]): Promise<BatchOutcome[]> {
    const limit = DEFAULT_LIMITS.changesetChanges;
    if (changesets.length > limit) throw refusal("PAYLOAD_TOO_LARGE", "too many");
    return await Promise.all(
      changesets.map((changeset) =>
        this.commit(changeset).then(
          (committed) => ({ ok: true, committed }) as const,
          (error: AgentRuntimeError) => ({ ok: false, error }) as const,
        ),
      ),
    );
  }

  async history(id: string, { namespace, limit, before }: HistoryOptions = {}) {
    const kept = this.#find(id, namespace);
    const entries = kept.entries
      .filter(({ version }) => before === undefined || version < before)
      .map(({ data: _, deleted: __, ...entry }): HistoryEntry => entry)
      .reverse();
    return pageOf(entries, limit, (last) => String(last.version));
  }

  async diff(id: string, options: DiffOptions = {}): Promise<Diff> {
    const kept = this.#find(id, options.namespace);
    const to = options.to ?? kept.entries.at(-1)!.version;
    const from = options.from ?? to - 1n;
    const before = dataAt(kept, from);
    const patch = diffJson(before, dataAt(kept, to));
    return { id, from, to, patch, readable: describePatch(before, patch) };
  }

  async list(options: ListOptions = {}): Promise<Page<StateSummary>> {
    const { namespace = "default", type, scope, phase, idPrefix = "", after = "", limit } = options;
    if (type !== undefined) checkType(type);
    if (scope !== undefined) checkScope(scope);
    if (phase !== undefined) checkPhase(phase);
    const items = this.#living((kept) => kept.namespace === namespace)
      .filter(([kept]) => type === undefined || kept.type === type)
      .filter(([kept]) => scope === undefined || kept.scope === scope)
      .filter(([, entry]) => phase === undefined || entry.phase === phase)
      .filter(([kept]) => kept.id.startsWith(idPrefix) && kept.id > after)
      .map(([kept, entry]): StateSummary => {
        const { data: _, ...summary } = stateOf(kept, entry);
        return summary;
      });
    return pageOf(items, limit, (last) => last.id);
  }

  async scope(scope: string, { namespace = "default" }: ScopeOptions = {}): Promise<ScopeStatus> {
    const step = this.#steps.get(keyOf(namespace, checkScope(scope)));
    if (step === undefined) throw refusal("SCOPE_NOT_FOUND", `no scope ${scope}`);
    return { namespace, scope, step, rollbackStep: null, hold: false, quarantined: [] };
  }

  async scopeStates(
    scope: string,
    options: ScopeOptions & { step?: Step; limit?: number; after?: string } = {},
  ): Promise<Page<State>> {
    const { namespace, step: head } = await this.scope(scope, options);
    const { step = head, after = "", limit } = options;
    if (step < 1n || step > head) throw refusal("STEP_NOT_FOUND", `no step ${step}`);
    const inScope = (kept: Kept) => kept.namespace === namespace && kept.scope === scope;
    const items = this.#living(inScope, step)
      .filter(([kept]) => kept.id > after)
      .map(([kept, entry]) => stateOf(kept, entry));
    return pageOf(items, limit, (last) => last.id);
  }

  async *watch(options: WatchOptions = {}): AsyncGenerator<Change, void> {
    const { after, signal, namespace = "default", data = true } = options;
    let at = after === undefined ? this.#feed.length : Number(after);
    if (!Number.isInteger(at)) throw refusal("INVALID_CURSOR", `"${after}" is no cursor`);
    if (after === "0") at = this.#forgotten;
    while (signal?.aborted !== true && !this.#isClosed) {
      if (at < this.#forgotten) {
        throw new AgentRuntimeError("GAP", "too old", { resumeFrom: String(this.#forgotten) });
      }
      const change = this.#feed[at];
      if (change === undefined) {
        await once(this.#events, "change", signal ? { signal } : {}).catch(() => undefined);
        continue;
      }
      at++;
      if (change.namespace !== namespace || !fits(change, options)) continue;
      const { data: _, ...withoutData } = change;
      yield data ? change : withoutData;
    }
  }

  /** Where the feed stands. */
  async feedHead(): Promise<string> {
    return String(this.#feed.length);
  }

  /** Forgets every change so far, as retention would. */
  forget(): void {
    this.#forgotten = this.#feed.length;
  }

  /** How many watchers wait for a change right now. */
  get watchers(): number {
    return this.#events.listenerCount("change");
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#events.emit("change");
  }

  async #one(change: ChangeRequest, options: WriteOptions = {}): Promise<Written> {
    const { phase, expectedVersion, timeoutMs: _, signal, expiresAt: __, ...unit } = options;
    const request = {
      ...change,
      ...(phase === undefined ? {} : { phase }),
      ...(expectedVersion === undefined ? {} : { expectedVersion }),
    };
    const call = signal === undefined ? {} : { signal };
    return (await this.commit({ ...unit, changes: [request] }, call)).changes[0]!;
  }

  #apply(unit: PreparedUnit): Committed {
    const { namespace, idempotencyKey, actor: _, cause: __, ...content } = unit;
    const asked = JSON.stringify(content, (_name, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    const key = idempotencyKey === null ? undefined : keyOf(namespace, idempotencyKey);
    const first = key === undefined ? undefined : this.#keys.get(key);
    if (first !== undefined) {
      if (first.asked !== asked) throw refusal("IDEMPOTENCY_KEY_REUSED", "used for another write");
      const changes = first.answer.changes.map((change) => ({ ...change, replayed: true }));
      return { ...first.answer, changes, replayed: true };
    }
    const answer = this.#write(unit);
    if (key !== undefined) this.#keys.set(key, { asked, answer });
    return answer;
  }

  #write(unit: PreparedUnit): Committed {
    const { namespace } = unit;
    const known = unit.changes.map(({ id }) => this.#states.get(keyOf(namespace, id)));
    const scope =
      unit.scope ?? known.find((kept) => kept !== undefined)?.scope ?? unit.changes[0]!.id;
    const head = this.#steps.get(keyOf(namespace, scope)) ?? 0n;
    const entries = unit.changes.map((change, at) => {
      const kept = known[at];
      const verdict = judge(change, kept) ?? judgeScope({ unit, scope, head }, kept);
      if (verdict !== undefined) throw conflict(verdict, change, kept);
      return entryOf({ unit, change, kept, step: head + 1n });
    });
    // Judged all of them first: all or none.
    const changes = unit.changes.map((change, at) =>
      this.#keep(unit, { scope, change, entry: entries[at]! }),
    );
    this.#steps.set(keyOf(namespace, scope), head + 1n);
    this.#events.emit("change");
    return { namespace, scope, step: head + 1n, changes, replayed: false };
  }

  #keep(
    { namespace }: PreparedUnit,
    { scope, change, entry }: { scope: string; change: PreparedChange; entry: Entry },
  ): Written {
    const key = keyOf(namespace, change.id);
    const before = this.#states.get(key);
    const created = before === undefined || before.entries.at(-1)!.deleted;
    const { id } = change;
    const kept: Kept = before ?? {
      ...{ namespace, id, type: change.type!, scope },
      ...{ createdAt: entry.at, expiresAt: null, entries: [] },
    };
    this.#states.set(key, kept);
    if (created) Object.assign(kept, { createdAt: entry.at, expiresAt: null });
    if (change.expiresAt !== null) {
      kept.expiresAt = change.expiresAt === "never" ? null : change.expiresAt;
    }
    kept.entries.push(entry);
    const { type } = kept;
    const { version, step, kind, phase, digest, at, actor, cause, data } = entry;
    const cursor = String(this.#feed.length + 1);
    const common = { namespace, scope: kept.scope, step, id, type, version, phase, digest };
    this.#feed.push({ ...common, cursor, kind, data, cause, actor, at });
    return { ...common, updatedAt: at, created, replayed: false };
  }

  #find(id: string, namespace = "default"): Kept {
    const kept = this.#states.get(keyOf(namespace, checkId(id)));
    if (kept === undefined) throw refusal("STATE_NOT_FOUND", `no state ${id}`);
    return kept;
  }

  #living(wanted: (kept: Kept) => boolean, step?: Step): [Kept, Entry][] {
    return Array.from(this.#states.values())
      .filter(wanted)
      .map((kept): [Kept, Entry | undefined] => [
        kept,
        kept.entries.findLast((entry) => step === undefined || entry.step <= step),
      ])
      .filter((pair): pair is [Kept, Entry] => pair[1] !== undefined && !pair[1].deleted)
      .sort(([a], [b]) => (a.id < b.id ? -1 : 1));
  }
}

function judge(change: PreparedChange, kept: Kept | undefined): Verdict | undefined {
  const last = kept?.entries.at(-1);
  const isAbsent = last === undefined || last.deleted;
  const { op, expectedVersion } = change;
  if (isAbsent && op !== "update") return { code: last ? "GONE" : "STATE_NOT_FOUND" };
  if (expectedVersion === 0n && !isAbsent) return { code: "ALREADY_EXISTS" };
  if (expectedVersion !== null && expectedVersion > 0n && expectedVersion !== last?.version) {
    return { code: "VERSION_CONFLICT" };
  }
  const type = kept?.type ?? change.type!;
  if (change.type !== null && change.type !== type) return { code: "INVALID_TYPE" };
  if (change.phase === null) return undefined;
  if (!(lifecycleOf(type)?.phases.includes(change.phase) ?? false))
    return { code: "INVALID_PHASE" };
  const isLegal = isAbsent
    ? mayCreateAs(type, change.phase)
    : mayMove(type, last.phase, change.phase, "change");
  return isLegal ? undefined : { code: "ILLEGAL_TRANSITION" };
}

function judgeScope(
  { unit, scope, head }: { unit: PreparedUnit; scope: string; head: Step },
  kept: Kept | undefined,
): Verdict | undefined {
  if (kept !== undefined && kept.scope !== scope) return { code: "INVALID_SCOPE" };
  const { expectedStep } = unit;
  return expectedStep === null || expectedStep === head ? undefined : { code: "STEP_CONFLICT" };
}

interface Writing {
  readonly unit: PreparedUnit;
  readonly change: PreparedChange;
  readonly kept: Kept | undefined;
  readonly step: Step;
}

function entryOf({ unit, change, kept, step }: Writing): Entry {
  const last = kept?.entries.at(-1);
  const data = documentAfter(change, last);
  const deleted = change.op === "delete";
  const type = kept?.type ?? change.type!;
  const isNew = last === undefined || last.deleted;
  const standing = isNew ? (lifecycleOf(type)?.first ?? null) : last.phase;
  const version = (last?.version ?? 0n) + 1n;
  const phase = change.phase ?? standing;
  const { actor, cause, idempotencyKey } = unit;
  const digest = createHash("sha256")
    .update(JSON.stringify([last?.digest, String(version), phase, data]))
    .digest("hex");
  const storedBytes = change.body?.length ?? 0;
  const stored = change.op === "delta" ? "delta" : "full";
  const kind = deleted ? "delete" : "update";
  const said = { version, step, kind, phase, actor, cause, idempotencyKey, digest } as const;
  return { ...said, at: new Date(), storedBytes, stored, data, deleted };
}

function documentAfter(change: PreparedChange, last: Entry | undefined): Json {
  if (change.op === "delete") return null;
  if (change.op === "update") return parseFrozen(change.body!);
  return applyDelta(last!.data, parseFrozen(change.body!) as unknown as Delta);
}

function conflict(verdict: Verdict, change: PreparedChange, kept?: Kept): AgentRuntimeError {
  const last = kept?.entries.at(-1);
  const message = `${change.id}: ${verdict.code}`;
  if (kept === undefined || last === undefined) return refusal(verdict.code, message);
  const { version, step, phase, digest, at, data } = last;
  const current = {
    ...{ id: kept.id, type: kept.type, scope: kept.scope, version: String(version) },
    ...{ step: String(step), phase, digest, updatedAt: at.toISOString(), data },
  };
  const diff =
    change.op === "update" ? { diff: diffJson(data, JSON.parse(change.body!) as Json) } : {};
  return new AgentRuntimeError(verdict.code, message, {
    ...{ mayHaveHappened: false, current },
    ...(diff as { diff?: Json }),
  });
}

function refusal(code: ErrorCode, message: string): AgentRuntimeError {
  return new AgentRuntimeError(code, message, { mayHaveHappened: false });
}

function stateOf(kept: Kept, { version, step, phase, digest, at, data }: Entry): State {
  const { namespace, id, type, scope, createdAt, expiresAt } = kept;
  const names = { namespace, id, type, scope, version, step, phase, digest };
  return { ...names, data, createdAt, updatedAt: at, expiresAt };
}

function dataAt(kept: Kept, version: Version): Json {
  if (version === 0n) return null;
  const entry = kept.entries[Number(version) - 1];
  if (entry === undefined) throw refusal("VERSION_NOT_FOUND", `no version ${version}`);
  return entry.data;
}

function pageOf<Item>(
  items: readonly Item[],
  limit = 100,
  next: (last: Item) => string,
): Page<Item> {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) {
    throw refusal("INVALID_LIMIT", `${limit} items`);
  }
  const page = items.slice(0, limit);
  return page.length < limit ? { items: page } : { items: page, next: next(page.at(-1)!) };
}

function fits(change: Change, { scope, id, type }: WatchOptions): boolean {
  return (
    (scope === undefined || change.scope === scope) &&
    (id === undefined || change.id === id) &&
    (type === undefined || change.type === type)
  );
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
