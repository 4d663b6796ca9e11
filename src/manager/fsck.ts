import { Detector } from "../fsck/detector.ts";
import type { DetectorFigures } from "../fsck/detector.ts";
import { withDeadline } from "../service/deadline.ts";
import type { Logger } from "../service/log-port.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { CHECK_NAMES } from "../state/fsck.ts";
import type { Findings, FindingsOptions, FsckOptions, FsckReport } from "../state/fsck.ts";
import type { ReplicaCopy, RollbackCopy } from "../state/fsck-ports.ts";
import { switchIn, wordIn } from "../state/fields.ts";
import { checkNamespace, checkScope, parseVersion } from "../state/identifiers.ts";
import type { StateStore } from "../state/ports.ts";
import { quote } from "../state/quote.ts";
import type { Directory } from "./directory.ts";
import type { Limits } from "./limits.ts";
import { memoryCopyOf } from "./memory-copy.ts";
import { scopeNotFound } from "./roll-back-refusal.ts";
import type { StateCache } from "./state-cache.ts";

/** How long a replica is not read that was found to differ, where no sweep says so anew. */
const DISTRUST_MS = 60_000;

/** When the detector looks by itself, and which copy it knows beside this process's memory and the replica. */
export interface FsckSettings {
  /** Milliseconds between two looks at what was touched; 0: it looks only when it is asked to. */
  readonly sweepMs: number;
  /** States that the rolling scrub looks at in a second; 0: it does not run. */
  readonly statesPerSecond: number;
  readonly rollback?: RollbackCopy;
}

interface FsckParts {
  readonly store: Pick<StateStore, "fsck" | "replica" | "scope">;
  readonly cache: StateCache;
  readonly directory: Directory;
  readonly limits: Limits;
  readonly log: Logger;
}

const DEFAULT_PAGE = 100;

/** The confusion detector behind the face of the state manager: what comes in is checked here. */
export class Fsck {
  readonly #parts: FsckParts;
  readonly #detector: Detector;
  readonly #isOn: boolean;
  readonly #stopping = new AbortController();

  constructor(parts: FsckParts, settings: FsckSettings = { sweepMs: 0, statesPerSecond: 0 }) {
    this.#parts = parts;
    this.#isOn = settings.sweepMs > 0;
    this.#detector = new Detector({
      store: parts.store.fsck,
      copies: {
        replica: replicaCopyOf(parts.store, settings.sweepMs),
        rollback: heardUntil(this.#stopping.signal, settings.rollback ?? null),
        memory: memoryCopyOf(parts.cache, parts.directory),
      },
      sweepMs: settings.sweepMs,
      statesPerSecond: settings.statesPerSecond,
      log: parts.log,
    });
  }

  /** Whether it looks by itself. */
  get isOn(): boolean {
    return this.#isOn;
  }

  get figures(): DetectorFigures {
    return this.#detector.figures;
  }

  start(): void {
    if (this.#isOn) this.#detector.start();
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    return this.#detector.stop();
  }

  async run(options: FsckOptions): Promise<FsckReport> {
    checkNames(options);
    const unknown = options.checks?.find((check) => !CHECK_NAMES.includes(check));
    if (unknown !== undefined) {
      throw new AgentRuntimeError(
        "INVALID_REQUEST",
        `There is no check ${quote(unknown)}; there are ${CHECK_NAMES.join(", ")}.`,
        { field: "checks" },
      );
    }
    // A repair that nobody asked for cannot be taken back.
    const { plan, fix } = options;
    switchIn({ plan }, "plan");
    wordIn({ fix }, "fix", ["safe"]);
    const report = await this.#detector.run(options);
    if (report.checked === 0 && report.findings.length === 0) await this.#checkThatThereIs(options);
    return report;
  }

  async findings(options: FindingsOptions): Promise<Findings> {
    checkNames(options);
    const limit = this.#limitOf(options.limit);
    const { before } = options;
    const items = await this.#parts.store.fsck.findings({
      namespace: options.namespace ?? (options.scope === undefined ? null : "default"),
      scope: options.scope ?? null,
      open: options.all !== true,
      before: before === undefined ? null : parseVersion(before, "INVALID_VERSION", "before"),
      limit,
    });
    const { runs } = this.#detector;
    return items.length < limit ? { items, runs } : { items, runs, next: String(items.at(-1)!.no) };
  }

  /** Asked last: a scope that main has lost, and a copy has not, is a finding. */
  async #checkThatThereIs({ scope, namespace = "default" }: FsckOptions): Promise<void> {
    if (scope === undefined || (await this.#parts.store.scope({ namespace, scope })) !== null)
      return;
    throw scopeNotFound(namespace, scope);
  }

  #limitOf(limit = Math.min(DEFAULT_PAGE, this.#parts.limits.pageItems)): number {
    const { pageItems } = this.#parts.limits;
    if (Number.isInteger(limit) && limit >= 1 && limit <= pageItems) return limit;
    throw new AgentRuntimeError(
      "INVALID_LIMIT",
      `A page has 1 to ${pageItems} items, not ${limit}.`,
    );
  }
}

/** The same copy; nobody waits for its answers any more once the signal aborts, as it may be silent. */
function heardUntil(signal: AbortSignal, copy: RollbackCopy | null): RollbackCopy | null {
  if (copy === null) return null;
  const call = <Answer>(ask: () => Promise<Answer>): Promise<Answer> =>
    withDeadline({ what: "The look at the rollback database", signal }, ask);
  return {
    status: () => call(() => copy.status()),
    standing: (scope) => call(() => copy.standing(scope)),
    standings: (after, limit) => call(() => copy.standings(after, limit)),
    digests: (scope) => call(() => copy.digests(scope)),
    change: (key) => call(() => copy.change(key)),
    discard: (scope, reason) => call(() => copy.discard(scope, reason)),
  };
}

function replicaCopyOf(
  { replica }: Pick<StateStore, "replica">,
  sweepMs: number,
): ReplicaCopy | null {
  if (replica === null) return null;
  const distrustMs = sweepMs === 0 ? DISTRUST_MS : 1_000 + 2 * sweepMs;
  return { ...replica.copy, distrust: (reason) => replica.open(reason, distrustMs) };
}

function checkNames({ namespace, scope }: { namespace?: string; scope?: string }): void {
  if (namespace !== undefined) checkNamespace(namespace);
  if (scope !== undefined) checkScope(scope);
}
