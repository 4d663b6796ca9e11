import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import { CHECK_NAMES } from "../state/fsck.ts";
import type { CheckName, FsckOptions, FsckReport, FsckRun } from "../state/fsck.ts";
import type { Fault, FsckStore } from "../state/fsck-ports.ts";
import { Arbiter } from "./arbiter.ts";
import { enter } from "./books.ts";
import { CHECKS, DIFFERS, MAIN_CHECKS } from "./checks.ts";
import type { Copies } from "./copies.ts";
import { runOnDemand } from "./on-demand.ts";
import { Scrub } from "./scrub.ts";
import type { Scrubbed } from "./scrub.ts";
import { Statuses } from "./statuses.ts";

export interface DetectorOptions {
  readonly store: FsckStore;
  readonly copies: Copies;
  /** States that the rolling scrub looks at in a second; 0: it does not run. */
  readonly statesPerSecond: number;
  /** Milliseconds between two sweeps; default 500. */
  readonly sweepMs?: number;
  /** How far behind a follower may be, in milliseconds; default 30,000. */
  readonly followerBoundMs?: number;
  readonly log: Logger;
}

/** What the detector tells of itself. */
export interface DetectorFigures {
  readonly open: ReadonlyMap<CheckName, number>;
  /** States looked at since the start. */
  readonly checked: number;
  /** The number of the state that the scrub has looked at last. */
  readonly position: number;
  readonly sweepSeconds: number;
  /** When the newest sweep ended; null: none did. */
  readonly sweptAt: Date | null;
}

const SCRUB_MS = 250;
const FOLLOWER_BOUND_MS = 30_000;
const STRAYS = 500;
/** Of the newest changes, so many are looked at in each sweep. */
const NEWEST = 50;
/** A page of the scrub while something says that anything may have been touched. */
const HURRY = 2_000;
const RUNS = 20;

/**
 * Looks for states that no legal history explains. The sweep looks at what was touched: by hand, and
 * of late. The scrub goes over everything, slowly. What either finds is entered with the rows as they
 * are, and its scope put on hold; nothing in a database is repaired unless somebody asks for it.
 */
export class Detector {
  readonly #options: DetectorOptions;
  readonly #arbiter: Arbiter;
  readonly #scrub: Scrub;
  readonly #loops: readonly Loop[];
  readonly #runs: FsckRun[] = [];
  #stray = 0n;
  #isHurried = false;
  #open: ReadonlyMap<CheckName, number> = new Map();
  #checked = 0;
  #sweepSeconds = 0;
  #sweptAt: Date | null = null;

  constructor(options: DetectorOptions) {
    const { store, copies, log, followerBoundMs = FOLLOWER_BOUND_MS } = options;
    this.#options = options;
    this.#arbiter = new Arbiter(store, copies, followerBoundMs);
    this.#scrub = new Scrub(store, copies, followerBoundMs);
    const loop = (name: string, pauseMs: number, runOnce: () => Promise<boolean>): Loop =>
      new Loop({ name, pauseMs, log, runOnce });
    this.#loops = [
      loop("fsck sweep", options.sweepMs ?? 500, () => this.#sweep()),
      ...(options.statesPerSecond === 0
        ? []
        : [loop("fsck scrub", SCRUB_MS, () => this.#scrubOnce())]),
    ];
  }

  get figures(): DetectorFigures {
    return {
      open: this.#open,
      checked: this.#checked,
      position: Number(this.#scrub.position),
      sweepSeconds: this.#sweepSeconds,
      sweptAt: this.#sweptAt,
    };
  }

  /** The newest runs, newest first. */
  get runs(): readonly FsckRun[] {
    return this.#runs;
  }

  start(): void {
    for (const loop of this.#loops) loop.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
  }

  /** Looks now, and where that is asked for says what would be done, or does what is proven. */
  async run(options: FsckOptions): Promise<FsckReport> {
    const { store, copies, followerBoundMs: boundMs = FOLLOWER_BOUND_MS, log } = this.#options;
    const statuses = new Statuses(options.checks ?? CHECK_NAMES);
    const parts = { store, copies, boundMs, statuses, arbiter: this.#arbiter, log };
    const report = await runOnDemand(parts, options);
    this.#note("asked", report.checked, report.checks);
    await this.#count();
    return report;
  }

  /** What was touched by hand, and a sample of what was committed of late. */
  async #sweep(): Promise<boolean> {
    const { store } = this.#options;
    const from = systemClock.monotonicMs();
    const statuses = new Statuses(MAIN_CHECKS);
    const strays = await store.strays(this.#stray, STRAYS);
    const touched = strays.flatMap(({ stateNo }) => (stateNo === null ? [] : [stateNo]));
    if (touched.length < strays.length) this.#hurry();
    const suspects = [...(await store.newest(NEWEST)), ...(await store.suspectTasks(NEWEST))];
    const numbers = [...new Set([...touched, ...suspects])];
    const faults = await statuses.run(MAIN_CHECKS, () => store.checkThese(numbers));
    await this.#conclude("sweep", { checked: numbers.length, faults }, statuses);
    if (strays.length > 0 && statuses.list().every(({ status }) => status !== "could not run")) {
      await store.settleStrays(strays.map(({ no }) => no));
      this.#stray = strays.at(-1)!.no;
    }
    await this.#count();
    this.#sweepSeconds = (systemClock.monotonicMs() - from) / 1_000;
    this.#sweptAt = new Date(systemClock.now());
    return strays.length === STRAYS;
  }

  /** While some replica is known to differ, none is read, whoever found it. */
  async #count(): Promise<void> {
    const { store, copies } = this.#options;
    this.#open = await store.countFindings();
    if (this.#open.has("C5")) copies.replica?.distrust(DIFFERS);
  }

  async #scrubOnce(): Promise<boolean> {
    const { statesPerSecond } = this.#options;
    const limit = this.#isHurried ? HURRY : Math.ceil((statesPerSecond * SCRUB_MS) / 1_000);
    const statuses = new Statuses(CHECK_NAMES);
    const page = await this.#scrub.nextOfMain(limit, statuses);
    if (this.#isHurried) this.#isHurried = !this.#scrub.isThrough("main");
    const faults = [
      ...page.faults,
      ...(await this.#scrub.nextOfReplica(limit, statuses)),
      ...(await this.#scrub.nextOfRollback(Math.ceil(limit / 10), statuses)),
      ...(await this.#scrub.rest(limit, statuses)),
    ];
    await this.#conclude("scrub", { checked: page.checked, faults }, statuses);
    return this.#isHurried;
  }

  /** Anything may have been touched: the scrub goes through all of it without a pause. */
  #hurry(): void {
    this.#isHurried = true;
    this.#scrub.startOver();
    this.#loops[1]?.wake();
  }

  async #conclude(
    what: "sweep" | "scrub",
    { checked, faults }: Scrubbed,
    statuses: Statuses,
  ): Promise<void> {
    const { store, log } = this.#options;
    await enter(store, faults, log);
    this.#dropFromReads(faults);
    this.#checked += checked;
    this.#note(what, checked, statuses.list());
  }

  /** What costs nobody anything is done at once: a copy that is wrong is not read. */
  #dropFromReads(faults: readonly Fault[]): void {
    const { replica, memory } = this.#options.copies;
    for (const { check, namespace, id } of faults) {
      if (check === "C5") replica?.distrust(DIFFERS);
      if (CHECKS[check].holds || check === "C7") {
        if (namespace !== null && id !== null) memory.forget({ namespace, id });
      }
    }
  }

  #note(what: FsckRun["what"], checked: number, checks: FsckRun["checks"]): void {
    const run = { what, endedAt: new Date(systemClock.now()), checked, checks };
    const before = this.#runs.findIndex((each) => each.what === what);
    // Of the loops, the newest run of each tells enough.
    if (what !== "asked" && before >= 0) this.#runs.splice(before, 1);
    this.#runs.unshift(run);
    this.#runs.splice(RUNS);
  }
}
