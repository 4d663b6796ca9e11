import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import type {
  CopyNeed,
  CopyWriter,
  FollowedStore,
  FollowedTo,
  PageLimit,
  RollbackStore,
  ScopeName,
  WalkPosition,
} from "../state/rollback-port.ts";
import { FollowerState } from "./figures.ts";
import type { FollowerFigures } from "./figures.ts";
import { GateWatch } from "./gate-watch.ts";
import { Silence } from "./silence.ts";

export interface FollowerOptions {
  readonly main: FollowedStore;
  readonly copies: CopyWriter & Pick<RollbackStore, "status">;
  /**
   * Makes the rollback database ready, before it is used first and after it failed. Answers why it is not ready yet,
   * where only time is needed: then it is looked at again.
   */
  readonly prepare?: () => Promise<string | null>;
  /** How soon changes that other processes committed are seen. */
  readonly pollMs: number;
  /** The part of the time that it works at most while main is busy: from above 0 to 1. */
  readonly share: number;
  /** How long another service waits for this one when it does not answer; default 10,000. */
  readonly leaseMs?: number;
  /** What it holds in memory at a time; default 2,000 changes and 4 MiB. */
  readonly page?: PageLimit;
  readonly log: Logger;
}

const LEASE_MS = 10_000;
const PAGE: PageLimit = { rows: 2_000, bytes: 4 * 1024 * 1024 };

/** While nobody waits for main: what it follows at once it need not follow in many small pages. */
const IDLE_SHARE = 0.5;
const MAX_PAUSE_MS = 2_000;

const REBUILD_SCOPES = 50;
const REBUILD_EVERY_MS = 1_000;
const SETTLE_EVERY_MS = 1_000;
const STATUS_EVERY_MS = 10_000;
const BACKLOG_LIMIT = 10_000;
const WALK_START: WalkPosition = { scopeNo: 0n, within: null };

/** What the one who leads knows of where it is. */
interface Lead {
  readonly epoch: bigint;
  renewAt: number;
  followedTo: FollowedTo | null;
  walk: WalkPosition | null;
}

interface Rebuild {
  readonly scopes: readonly ScopeName[];
  after: WalkPosition;
}

/**
 * Keeps the rollback database one step behind main: one page after the other, each in one transaction there.
 *
 * Of several services one follows, under a lease; another one takes over when it ran out. Everything that
 * is needed to go on is in the rollback database, so it may be killed at any point.
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #silence = new Silence();
  readonly #holder = randomUUID();
  readonly #leaseMs: number;
  readonly #page: PageLimit;
  readonly #loop: Loop;
  readonly #gates: GateWatch;
  readonly #state = new FollowerState();
  #isMainBusy = (): boolean => false;
  #lead: Lead | undefined;
  #rebuild: Rebuild | undefined;
  #isPrepared = false;
  #askAt = 0;
  #rebuildAt = 0;
  #settleAt = 0;
  #statusAt = 0;
  #stopping: Promise<void> | undefined;

  constructor(options: FollowerOptions) {
    this.#options = { ...options, copies: this.#silence.over(options.copies) };
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#page = options.page ?? PAGE;
    this.#gates = new GateWatch(options.main, options.pollMs);
    this.#loop = new Loop({
      name: "rollback follower",
      runOnce: (signal) => this.#round(signal),
      pauseMs: options.pollMs,
      log: options.log,
    });
  }

  /** @param isMainBusy whether writes wait for main now; unsaid: never. */
  start(isMainBusy?: () => boolean): void {
    this.#isMainBusy = isMainBusy ?? this.#isMainBusy;
    this.#loop.start();
  }

  /** Something was committed here: look at once. */
  poke(): void {
    this.#loop.wake();
  }

  get figures(): FollowerFigures {
    const { figures } = this.#state;
    const { reason } = this.#silence;
    return reason === undefined ? figures : { ...figures, health: "unavailable", reason };
  }

  /** Ends what is under way and gives the lease back, where the rollback database answers. Safe twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#loop.stop().then(() => this.#release());
    return this.#stopping;
  }

  async #release(): Promise<void> {
    const lead = this.#lead;
    this.#lead = undefined;
    if (lead === undefined) return;
    await this.#options.copies.releaseLease(lead.epoch).catch((error: unknown) => {
      this.#options.log.debug({ error }, "the lease of the rollback follower runs out by itself");
    });
  }

  async #round(signal: AbortSignal): Promise<boolean> {
    const from = systemClock.monotonicMs();
    try {
      if (!(await this.#prepare())) return false;
      const lead = await this.#led();
      const more = lead !== null && (await this.#work(lead));
      await this.#refresh();
      // What is left over from a full page waits for nobody but for writes to main.
      const rests = lead !== null && (!more || this.#isMainBusy());
      if (rests) await this.#rest(systemClock.monotonicMs() - from, signal);
      return more;
    } catch (error) {
      // It may have been done all the same: where it stands is asked anew.
      this.#lead = undefined;
      this.#rebuild = undefined;
      this.#isPrepared = false;
      this.#state.health = "unavailable";
      this.#state.reason = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  /** A database that was away may come back as another one, without anything in it. */
  async #prepare(): Promise<boolean> {
    if (this.#isPrepared) return true;
    const notYet = await this.#silence.during(async () => this.#options.prepare?.());
    this.#isPrepared = typeof notYet !== "string";
    if (!this.#isPrepared) {
      this.#state.health = "unavailable";
      this.#state.reason = notYet!;
    }
    return this.#isPrepared;
  }

  /** Null: another one leads. */
  async #led(): Promise<Lead | null> {
    const now = systemClock.monotonicMs();
    if (this.#lead !== undefined && now < this.#lead.renewAt) return this.#lead;
    if (this.#lead === undefined && now < this.#askAt) return null;
    const { mine, epoch, followedTo, walk } = await this.#options.copies.takeLease(
      this.#holder,
      this.#leaseMs,
    );
    if (!mine) {
      this.#lose();
      this.#askAt = now + this.#leaseMs / 5;
      return null;
    }
    const renewAt = now + this.#leaseMs / 3;
    if (this.#lead?.epoch === epoch) this.#lead.renewAt = renewAt;
    else {
      this.#lead = { epoch, renewAt, followedTo, walk };
      this.#gates.reset();
      this.#options.log.info(
        { epoch: epoch.toString() },
        "following main for the rollback database",
      );
    }
    return this.#lead;
  }

  /** Whatever was under way is another one's now. */
  #lose(): void {
    if (this.#lead !== undefined) this.#options.log.info({}, "another service follows main now");
    this.#lead = undefined;
    this.#rebuild = undefined;
    this.#state.health = "waiting";
    this.#state.reason = undefined;
  }

  /** Whether more is waiting. */
  async #work(lead: Lead): Promise<boolean> {
    if (lead.followedTo === null) await this.#begin(lead, await this.#options.main.head());
    if (lead !== this.#lead) return true;
    if (lead.walk !== null) return this.#walk(lead, lead.walk);
    await this.#gates.look(async ({ gates, moment }) => {
      const page = { changes: [], gates, moment, followedTo: null, settledAt: null };
      return this.#taken(await this.#options.copies.follow(lead.epoch, page));
    });
    if (lead !== this.#lead) return true;
    const rebuilds = await this.#rebuildSome(lead);
    if (lead !== this.#lead) return true;
    return (await this.#follow(lead, lead.followedTo!)) || rebuilds;
  }

  async #begin(lead: Lead, head: FollowedTo): Promise<void> {
    const { copies, log } = this.#options;
    log.info({ lineage: head.lineage }, "copying the scopes of main to the rollback database");
    if ((await copies.begin(lead.epoch, head)) === null) return this.#lose();
    lead.followedTo = head;
    lead.walk = WALK_START;
    this.#state.copied = 0;
    this.#gates.reset();
  }

  async #walk(lead: Lead, after: WalkPosition): Promise<boolean> {
    const { main, copies, log } = this.#options;
    this.#state.walking = true;
    const page = await main.copyPage(null, after, this.#page);
    if (!this.#taken(await copies.fill(lead.epoch, page, page.next ?? "done"))) return true;
    lead.walk = page.next;
    this.#state.copied += page.parts.filter(({ whole }) => whole).length;
    this.#state.walking = page.next !== null;
    const { copied } = this.#state;
    if (page.next !== null) return true;
    log.info({ copied }, "all scopes of main are copied");
    this.#statusAt = 0;
    return true;
  }

  /** A page of what broke, made anew from main. Whether more of it is waiting. */
  async #rebuildSome(lead: Lead): Promise<boolean> {
    const { main, copies } = this.#options;
    const now = systemClock.monotonicMs();
    if (this.#rebuild === undefined) {
      if (now < this.#rebuildAt) return false;
      this.#rebuildAt = now + REBUILD_EVERY_MS;
      const scopes = await copies.toRebuild(REBUILD_SCOPES);
      if (scopes.length === 0) return false;
      this.#rebuild = { scopes, after: WALK_START };
    }
    const { scopes, after } = this.#rebuild;
    const page = await main.copyPage(scopes, after, this.#page);
    if (!this.#taken(await copies.fill(lead.epoch, page, null))) return true;
    if (page.next !== null) {
      this.#rebuild.after = page.next;
      return true;
    }
    this.#rebuild = undefined;
    this.#statusAt = 0;
    return scopes.length === REBUILD_SCOPES;
  }

  async #follow(lead: Lead, at: FollowedTo): Promise<boolean> {
    const { main, copies, log } = this.#options;
    const page = await main.feedPage(at.position, this.#page);
    if (page.followedTo.lineage !== at.lineage) {
      log.warn({ was: at.lineage, is: page.followedTo.lineage }, "main has another history now");
      await this.#begin(lead, await main.head());
      return true;
    }
    const now = systemClock.monotonicMs();
    if (page.changes.length > 0 || now >= this.#settleAt) {
      const settledAt = page.more ? null : page.settledAt;
      if (!this.#taken(await copies.follow(lead.epoch, { ...page, settledAt }))) return true;
      this.#settleAt = now + SETTLE_EVERY_MS;
    }
    lead.followedTo = page.followedTo;
    this.#state.followed(page);
    return page.more;
  }

  /** Whether it was done; null says that the lease is another one's. */
  #taken(needs: readonly CopyNeed[] | null): boolean {
    if (needs === null) {
      this.#lose();
      return false;
    }
    this.#state.broke(needs);
    for (const { need, ...facts } of needs) {
      if (need === "suspect") this.#options.log.error(facts, "a rollback copy and main differ");
      else this.#options.log.info(facts, "a rollback copy is made anew");
    }
    if (needs.length > 0) this.#rebuildAt = 0;
    return true;
  }

  /** What people and metrics see, asked now and then. */
  async #refresh(): Promise<void> {
    const now = systemClock.monotonicMs();
    if (now < this.#statusAt) return;
    this.#statusAt = now + STATUS_EVERY_MS;
    const { main, copies } = this.#options;
    this.#state.status = await copies.status();
    const { followedTo } = this.#state.status;
    if (this.#state.health === "ok" || followedTo === null) return;
    this.#state.changesBehind = await main.backlog(followedTo.position, BACKLOG_LIMIT);
  }

  /** Leaves the machine to others for a while that matches what it took. */
  async #rest(tookMs: number, signal: AbortSignal): Promise<void> {
    const { share } = this.#options;
    const part = this.#isMainBusy() ? Math.min(share, IDLE_SHARE) : IDLE_SHARE;
    const pauseMs = Math.min(MAX_PAUSE_MS, tookMs * (1 / part - 1));
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
