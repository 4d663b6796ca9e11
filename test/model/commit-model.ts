import { applyDelta } from "../../src/state/delta.ts";
import type { Delta } from "../../src/state/delta.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { Json } from "../../src/state/json.ts";
import { lifecycleOf, mayCreateAs, mayMove } from "../../src/state/lifecycle.ts";
import type { PreparedChange, PreparedUnit } from "../../src/state/ports.ts";

/** What the model says of one change: `code` null where it was committed. */
export interface Fate {
  readonly code: string | null;
  readonly version: bigint;
  readonly step: bigint;
  readonly phase: string | null;
  readonly created: boolean;
}

export interface ModelState {
  readonly type: string;
  readonly scope: string;
  readonly versions: readonly ModelVersion[];
}

export interface ModelVersion {
  readonly version: bigint;
  readonly step: bigint;
  readonly phase: string | null;
  readonly deleted: boolean;
  readonly data: Json;
}

interface Answered {
  readonly fingerprint: string;
  readonly step: bigint;
}

/** What commits mean, in the plainest way: one namespace, one changeset after the other, in memory. */
export class CommitModel {
  readonly states = new Map<string, ModelState>();
  readonly heads = new Map<string, bigint>();
  readonly held = new Set<string>();
  readonly #keys = new Map<string, Answered>();
  readonly #dataBytes: number;

  constructor(dataBytes: number) {
    this.#dataBytes = dataBytes;
  }

  /** One unit after the other: a batch only shares a transaction, not a fate. */
  commitBatch(units: readonly PreparedUnit[]): Fate[][] {
    return units.map((unit) => this.#commit(unit));
  }

  #commit(unit: PreparedUnit): Fate[] {
    const codes = unit.changes.map((change) => this.#judge(unit, change));
    if (codes.some((code) => code !== null)) {
      return unit.changes.map((change, index) => this.#refused(unit, change, codes[index]!));
    }
    const scope = this.#scopeOf(unit, unit.changes[0]!);
    const step = (this.heads.get(scope) ?? 0n) + 1n;
    const fates = unit.changes.map((change) => this.#apply(unit, change, step));
    this.heads.set(scope, step);
    if (unit.idempotencyKey !== null) {
      this.#keys.set(unit.idempotencyKey, { fingerprint: fingerprintOf(unit), step });
    }
    return fates;
  }

  /** The first rule that the change breaks; null where it breaks none. */
  #judge(unit: PreparedUnit, change: PreparedChange): string | null {
    const answered = unit.idempotencyKey === null ? undefined : this.#keys.get(unit.idempotencyKey);
    if (answered !== undefined) {
      return answered.fingerprint === fingerprintOf(unit) ? "REPLAYED" : "IDEMPOTENCY_KEY_REUSED";
    }
    const { expectedVersion: expected, op } = change;
    const state = this.states.get(change.id);
    const newest = state?.versions.at(-1);
    const isAbsent = newest === undefined || newest.deleted;
    const scope = this.#scopeOf(unit, change);
    if (isAbsent && op !== "update") return newest === undefined ? "STATE_NOT_FOUND" : "GONE";
    if (expected === 0n && !isAbsent) return "ALREADY_EXISTS";
    if (expected !== null && expected > 0n && expected !== newest?.version)
      return "VERSION_CONFLICT";
    if (state !== undefined && change.type !== null && change.type !== state.type)
      return "INVALID_TYPE";
    if ((unit.scope ?? this.#scopeOf(unit, unit.changes[0]!)) !== scope) return "INVALID_SCOPE";
    if (unit.expectedStep !== null && unit.expectedStep !== (this.heads.get(scope) ?? 0n))
      return "STEP_CONFLICT";
    if (this.held.has(scope)) return "SCOPE_ON_HOLD";
    if (change.basedOn !== null && change.basedOn !== newest?.version) return "REBASE";
    return (
      this.#dataFault(change, newest) ??
      phaseFault(state?.type ?? change.type!, change.phase, isAbsent ? null : newest.phase)
    );
  }

  #dataFault(change: PreparedChange, newest: ModelVersion | undefined): string | null {
    if (change.op !== "delta") return null;
    try {
      const after = applyDelta(newest!.data, JSON.parse(change.body!) as Delta);
      return Buffer.byteLength(JSON.stringify(after)) > this.#dataBytes
        ? "PAYLOAD_TOO_LARGE"
        : null;
    } catch (error) {
      if (error instanceof AgentRuntimeError) return error.code;
      throw error;
    }
  }

  #refused(unit: PreparedUnit, change: PreparedChange, code: string | null): Fate {
    const newest = this.states.get(change.id)?.versions.at(-1);
    return {
      code: code ?? "UNIT_REFUSED",
      version: newest?.version ?? 0n,
      step:
        code === "REPLAYED"
          ? this.#keys.get(unit.idempotencyKey!)!.step
          : (this.heads.get(this.#scopeOf(unit, change)) ?? 0n),
      phase: newest === undefined || newest.deleted ? null : newest.phase,
      created: false,
    };
  }

  #apply(unit: PreparedUnit, change: PreparedChange, step: bigint): Fate {
    const before = this.states.get(change.id);
    const newest = before?.versions.at(-1);
    const isAbsent = newest === undefined || newest.deleted;
    const type = before?.type ?? change.type!;
    const scope = this.#scopeOf(unit, change);
    const kept = isAbsent ? (lifecycleOf(type)?.first ?? null) : newest.phase;
    const after: ModelVersion = {
      version: (newest?.version ?? 0n) + 1n,
      step,
      phase: change.phase ?? kept,
      deleted: change.op === "delete",
      data: dataAfter(change, newest),
    };
    this.states.set(change.id, { type, scope, versions: [...(before?.versions ?? []), after] });
    const { version, phase } = after;
    return { code: null, version, step, phase, created: isAbsent };
  }

  #scopeOf(unit: PreparedUnit, change: PreparedChange): string {
    return this.states.get(change.id)?.scope ?? unit.scope ?? change.id;
  }
}

function dataAfter(change: PreparedChange, newest: ModelVersion | undefined): Json {
  if (change.op === "delete") return null;
  const body = JSON.parse(change.body!) as Json;
  return change.op === "update" ? body : applyDelta(newest!.data, body as Delta);
}

function phaseFault(type: string, to: string | null, from: string | null): string | null {
  if (to === null) return null;
  if (lifecycleOf(type)?.phases.includes(to) !== true) return "INVALID_PHASE";
  const isLegal = from === null ? mayCreateAs(type, to) : mayMove(type, from, to, "change");
  return isLegal ? null : "ILLEGAL_TRANSITION";
}

function fingerprintOf({ scope, expectedStep, changes }: PreparedUnit): string {
  const asked = changes.map((change) => ({ ...change, basedOn: undefined }));
  return JSON.stringify([scope, expectedStep, asked], (_key, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
}
