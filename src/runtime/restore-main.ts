import { randomUUID } from "node:crypto";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDataApi } from "../config/database-kinds.ts";
import type { Config } from "../config/options.ts";
import { openRenewedHome } from "../embedded/renew-main.ts";
import { systemClock } from "../service/clock.ts";
import { silentLog } from "../service/log.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type {
  CopiedTo,
  LogPlace,
  RestorableScope,
  RestoredScope,
  RestoreSource,
} from "../state/restore-port.ts";
import type { ScopeName } from "../state/rollback-port.ts";
import type { Address, ConnectionOptions } from "../supabase/connection.ts";
import { prepareSchema } from "../supabase/prepare-schema.ts";
import { openRestoreSource } from "../supabase/rollback/restore-source.ts";
import { RestoredMain } from "../supabase/rollback/restored-main.ts";
import type { RestoredCounts } from "../supabase/rollback/restored-main.ts";
import type { DatabaseAddress } from "../supabase/transport.ts";
import { databaseAddress } from "./database-address.ts";
import { judgeScope } from "./restore-scope.ts";
import type { Judgement, RestoreUntil, ScopeLoss } from "./restore-scope.ts";

/** What came of rebuilding main. */
export interface RestoreReport extends RestoredCounts {
  /** Where the former main of an embedded home was put; null: nothing was moved. */
  readonly movedTo: string | null;
  readonly until: RestoreUntil;
  /** By the lost main's clock: all that it had committed by then was copied. What came after may be lost unseen. Null: not known. */
  readonly copiedUntil: Date | null;
  /** False: the first copy of main was under way, and scopes may be missing altogether. */
  readonly copiedAll: boolean;
  /** The history that was lost, and where in its feed the copies were. */
  readonly lineage: string | null;
  readonly feedPosition: string | null;
  /** Scopes of which something is lost, or not sure. */
  readonly losses: readonly ScopeLoss[];
}

/** What the databases say of it. */
type CopiedReport = Omit<RestoreReport, "movedTo">;

export interface RestoreCall {
  readonly until: RestoreUntil;
  /** Whether a main that is there, in an embedded home, may be put aside. */
  readonly mayMoveMain?: boolean;
  /** How long a service that holds the lease of the follower is waited for; default 40,000. */
  readonly leaseWaitMs?: number;
  readonly signal: AbortSignal;
  /** @param what what is being done, for people. */
  readonly onProgress: (what: string, done: number, total: number) => void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 600_000;

const SCOPES = 200;
const PAGE = { rows: 2_000, bytes: 4 * 1024 * 1024 };

const LEASE_MS = 30_000;
/** Longer than any lease: who was killed holds it until it runs out. */
const LEASE_WAIT_MS = 40_000;
const LEASE_PAUSE_MS = 250;

/**
 * Rebuilds main, which was lost, from the rollback database: into an empty one, page by page. A run that ended early goes
 * on when it is called again; until one came to its end no service opens that main. In an embedded home what is left of
 * the former main is put aside, and a new one made.
 *
 * @throws {AgentRuntimeError} INVALID_CONFIG: there is no rollback database, or main is a Data API. RESTORE_REFUSED:
 *   main is not empty, or a service follows it. UNAVAILABLE, SCHEMA_MISMATCH, DATA_DIRECTORY.
 */
export async function restoreMain(config: Config, call: RestoreCall): Promise<RestoreReport> {
  const rollback = databaseAddress(config, "rollback");
  if (config.supabase.main === "") return await restoreEmbedded(config, rollback, call);
  if (rollback === null) {
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      "There is no rollback database to restore from: name it in `supabase.rollback`.",
      { field: "supabase.rollback" },
    );
  }
  if (isDataApi(config.supabase.main)) {
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      "A restore makes the schema of main, which a Data API cannot: name the database itself in `supabase.main`, as postgres://..., with its owner's login.",
      { field: "supabase.main" },
    );
  }
  return { ...(await restoreFrom(rollback, { url: config.supabase.main }, call)), movedTo: null };
}

/** @param given a rollback database that is none of the home's servers; null: it is one of them. */
async function restoreEmbedded(
  { dataDir, embedded }: Config,
  given: DatabaseAddress | null,
  call: RestoreCall,
): Promise<RestoreReport> {
  const { home, movedTo, finish } = await openRenewedHome({
    dataDir: path.resolve(dataDir),
    binaries: embedded.binaries,
    withRollback: given === null,
    mayMoveMain: call.mayMoveMain === true,
    log: silentLog,
  });
  try {
    const report = await restoreFrom(given ?? home.address("rollback"), home.address("main"), call);
    await finish();
    return { ...report, movedTo };
  } finally {
    await home.close();
  }
}

async function restoreFrom(
  rollback: DatabaseAddress,
  main: Address,
  call: RestoreCall,
): Promise<CopiedReport> {
  const way = { connectTimeoutMs: CONNECT_TIMEOUT_MS, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  const source = { ...way, address: rollback, lanes: 1, readers: 1 };
  await prepareSchema(source, "rollback");
  const copies = openRestoreSource(source);
  try {
    const lease = await Lease.take(copies, call);
    try {
      return await restoreUnder(lease, { copies, main: { ...way, address: main }, call });
    } finally {
      await lease.release();
    }
  } finally {
    await copies.close();
  }
}

async function restoreUnder(
  lease: Lease,
  way: {
    readonly copies: RestoreSource;
    readonly main: ConnectionOptions;
    readonly call: RestoreCall;
  },
): Promise<CopiedReport> {
  const { copies, main, call } = way;
  const copied = await copies.copiedTo();
  const { main: target, start } = await RestoredMain.open(main, orderOf(call.until, copied));
  try {
    const restore = new Restore({ copies, target, lease, copied, call });
    const report = start.report ?? (await restore.fill(start.after));
    if (!start.isDone) {
      await restore.tellCopies();
      await target.finish();
    }
    return reportOf(report);
  } finally {
    await target.close();
  }
}

/** What a run that goes on must find as it was. */
function orderOf(until: RestoreUntil, { followedTo }: CopiedTo): string {
  return `${until} ${followedTo?.lineage ?? "-"} ${positionOf(followedTo) ?? "-"}`;
}

function positionOf(followedTo: CopiedTo["followedTo"]): string | null {
  if (followedTo === null) return null;
  const { xid, scopeNo, step, position } = followedTo.position;
  return [xid, scopeNo, step, position].join(".");
}

/** The lease of the follower: while it is held the copies stay as they are. */
class Lease {
  readonly #copies: RestoreSource;
  readonly #holder: string;
  readonly epoch: bigint;
  #renewAt = systemClock.monotonicMs() + LEASE_MS / 3;

  private constructor(copies: RestoreSource, holder: string, epoch: bigint) {
    this.#copies = copies;
    this.#holder = holder;
    this.epoch = epoch;
  }

  static async take(
    copies: RestoreSource,
    { leaseWaitMs = LEASE_WAIT_MS, signal }: RestoreCall,
  ): Promise<Lease> {
    const holder = `restore ${randomUUID()}`;
    const until = systemClock.monotonicMs() + leaseWaitMs;
    for (;;) {
      const { mine, epoch } = await copies.takeLease(holder, LEASE_MS);
      if (mine) return new Lease(copies, holder, epoch);
      if (systemClock.monotonicMs() > until) {
        throw new AgentRuntimeError(
          "RESTORE_REFUSED",
          "Another process uses this rollback database: a service that follows main, or another restore. Stop it, then try again. Nothing was changed.",
        );
      }
      await sleep(LEASE_PAUSE_MS, undefined, { signal });
    }
  }

  async renew(): Promise<void> {
    const now = systemClock.monotonicMs();
    if (now < this.#renewAt) return;
    const { mine, epoch } = await this.#copies.takeLease(this.#holder, LEASE_MS);
    if (!mine || epoch !== this.epoch) throw lost();
    this.#renewAt = now + LEASE_MS / 3;
  }

  async release(): Promise<void> {
    await this.#copies.releaseLease(this.epoch).catch(() => undefined); // it runs out by itself
  }
}

interface RestoreParts {
  readonly copies: RestoreSource;
  readonly target: RestoredMain;
  readonly lease: Lease;
  readonly copied: CopiedTo;
  readonly call: RestoreCall;
}

/** One scope, and what was decided about it. */
interface Judged {
  readonly scope: RestorableScope;
  readonly verdict: Judgement;
}

/** One restore, from its first page to its last. */
class Restore {
  readonly #parts: RestoreParts;

  constructor(parts: RestoreParts) {
    this.#parts = parts;
  }

  /** Puts all in that proves, after the last scope that is there; what came of it, as JSON. */
  async fill(after: ScopeName | null): Promise<string> {
    const { target, copied, call } = this.#parts;
    const losses: ScopeLoss[] = [];
    let isThere = after !== null;
    await this.#eachPage("restored", async (page) => {
      const judged = page.map((scope) => ({ scope, verdict: judgeScope(scope, call.until) }));
      for (const { verdict } of judged) if (verdict.loss !== null) losses.push(verdict.loss);
      if (!isThere) await this.#put(judged);
      else isThere = !isSame(page.at(-1)!, after!);
    });
    const counts = await target.putTasks(call.signal);
    const report: CopiedReport = {
      ...counts,
      until: call.until,
      copiedUntil: copied.settledAt,
      copiedAll: !copied.walking,
      lineage: copied.followedTo?.lineage ?? null,
      feedPosition: positionOf(copied.followedTo),
      losses,
    };
    const text = JSON.stringify(report, bigintAsText);
    await target.keepReport(text);
    return text;
  }

  async #put(judged: readonly Judged[]): Promise<void> {
    const { copies, target, lease } = this.#parts;
    const kept = judged.filter(({ verdict }) => verdict.step > 0n);
    const wanted = kept.map(({ scope, verdict }) => restoredOf(scope, verdict.step));
    let after: LogPlace | null = null;
    while (wanted.length > 0) {
      const page = await copies.log(wanted, after, PAGE);
      const last = page.at(-1);
      if (last === undefined) break;
      await target.putChanges(page);
      await lease.renew();
      after = last;
    }
    const facts = kept.map(({ scope, verdict }) => ({
      ...restoredOf(scope, verdict.step),
      hold: verdict.hold,
      quarantined: scope.quarantined,
    }));
    await target.putScopes(facts, judged.at(-1)!.scope);
  }

  /** From here on the copies follow the new main: they begin where it does. */
  async tellCopies(): Promise<void> {
    const { copies, target, lease, call } = this.#parts;
    await this.#eachPage("settled with the copies", async (page) => {
      const renewed = page.filter((scope) => judgeScope(scope, call.until).renewsCopy);
      const steps = await target.stepsOf(renewed);
      if ((await copies.restored(lease.epoch, steps)) === null) throw lost();
    });
  }

  async #eachPage(
    what: string,
    visit: (page: readonly RestorableScope[]) => Promise<void>,
  ): Promise<void> {
    const { copies, lease, copied, call } = this.#parts;
    let done = 0;
    let after: ScopeName | null = null;
    for (;;) {
      call.signal.throwIfAborted();
      const page: readonly RestorableScope[] = await copies.scopes(after, SCOPES);
      const last = page.at(-1);
      if (last === undefined) return;
      await visit(page);
      await lease.renew();
      done += page.length;
      call.onProgress(what, done, copied.scopes);
      after = last;
    }
  }
}

function restoredOf({ namespace, scope }: ScopeName, step: bigint): RestoredScope {
  return { namespace, scope, step };
}

function isSame(left: ScopeName, right: ScopeName): boolean {
  return left.namespace === right.namespace && left.scope === right.scope;
}

function lost(): AgentRuntimeError {
  return new AgentRuntimeError(
    "RESTORE_REFUSED",
    "Another process took the rollback database over while main was restored from it. Stop it, then restore again: it continues where it stopped.",
  );
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

/** A loss as JSON has it. */
type StoredLoss = {
  readonly [Name in keyof ScopeLoss]: bigint extends ScopeLoss[Name]
    ? string | Exclude<ScopeLoss[Name], bigint>
    : ScopeLoss[Name];
};

interface StoredReport extends Omit<CopiedReport, "copiedUntil" | "losses"> {
  readonly copiedUntil: string | null;
  readonly losses: readonly StoredLoss[];
}

/** Steps and versions are numbers of any size again. */
function reportOf(text: string): CopiedReport {
  const report = JSON.parse(text) as StoredReport;
  const whole = (value: string | null): bigint | null => (value === null ? null : BigInt(value));
  return {
    ...report,
    copiedUntil: report.copiedUntil === null ? null : new Date(report.copiedUntil),
    losses: report.losses.map((loss) => ({
      ...loss,
      restoredStep: BigInt(loss.restoredStep),
      lostFrom: whole(loss.lostFrom),
      lostTo: whole(loss.lostTo),
      version: whole(loss.version),
    })),
  };
}
