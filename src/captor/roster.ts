import type { BusEvent } from "../containerd/bus-event.ts";
import type { ContainerRecord, PastEnd, TaskRecord } from "../containerd/records.ts";
import type { Fact, LifecycleFact } from "../state/lifecycle-fact.ts";
import { belongsOf, podLabels } from "./pod-names.ts";
import type { Belongs } from "./pod-names.ts";

export interface RosterOptions {
  readonly node: string;
  /** Which runtimes count. */
  readonly isOurs: (runtime: string) => boolean;
  readonly maxContainers: number;
}

/** What was seen and is no fact. */
export type Ignored = "exec" | "other-runtime" | "no-pod" | "unknown" | "repeated";

/** Two ends of one run that are not the same: the first one was told. */
export interface Disagreement {
  readonly containerId: string;
  readonly told: number | null;
  readonly later: number | null;
}

export interface RosterListener {
  readonly onIgnored: (why: Ignored) => void;
  readonly onDisagreement: (disagreement: Disagreement) => void;
}

/** A container that is known, and what was told of it. */
interface Member {
  readonly belongs: Belongs;
  readonly createdAt: string | null;
  started: boolean;
  paused: boolean;
  end: { readonly exitStatus: number | null } | null;
}

interface Told {
  readonly at: string;
  readonly exitCode?: number;
  readonly reason?: string;
}

type Teller = (
  id: string,
  member: Member,
  event: BusEvent & { readonly at: string },
) => LifecycleFact[];

/**
 * The containers of a node's pods, and what was told of each: what comes in, from the bus or by listing, is a
 * fact where it is news.
 *
 * The process's number says nothing of a run, for Kata gives that of the virtual machine; nor does the time of
 * its end, for a second end may be told with another one. So a run is its container's id, and its first end counts.
 */
export class Roster {
  readonly #options: RosterOptions;
  readonly #listener: RosterListener;
  readonly #members = new Map<string, Member>();
  /** By the pod's uid. */
  readonly #labels = new Map<string, Record<string, string>>();

  readonly #tellers: Readonly<Record<BusEvent["topic"], Teller>> = {
    "/containers/create": () => [],
    "/tasks/start": (id, member, { at }) => this.#start(id, member, at),
    "/tasks/paused": (id, member, { at }) => this.#pause(id, member, { paused: true, at }),
    "/tasks/resumed": (id, member, { at }) => this.#pause(id, member, { paused: false, at }),
    "/tasks/oom": (id, member, { at }) => [this.#fact(id, member, { fact: "oom", at })],
    "/tasks/exit": (id, member, { at, exitStatus, exitedAt }) =>
      this.#end(id, member, { exitStatus, exitedAt: exitedAt ?? at }),
    // The end itself may have been lost.
    "/tasks/delete": (id, member, { at, exitStatus, exitedAt }) =>
      member.end === null ? this.#end(id, member, { exitStatus, exitedAt: exitedAt ?? at }) : [],
    "/containers/delete": (id, member, { at }) => this.#leave(id, member, at),
  };

  constructor(options: RosterOptions, listener: RosterListener) {
    this.#options = options;
    this.#listener = listener;
  }

  get size(): number {
    return this.#members.size;
  }

  has(containerId: string): boolean {
    return this.#members.has(containerId);
  }

  knowsPod(podUid: string): boolean {
    return this.#labels.has(podUid);
  }

  /** A container that is there. */
  meet(record: ContainerRecord, nowAt: string): LifecycleFact[] {
    const known = this.#members.get(record.id);
    // An id that somebody gives a second time is another run's.
    if (known !== undefined && known.createdAt === record.createdAt) return [];
    const belongs = belongsOf(record);
    if (belongs === null) return this.#ignore("no-pod");
    if (!this.#options.isOurs(record.runtime)) return this.#ignore("other-runtime");
    const { createdAt } = record;
    this.#makeRoom();
    const member: Member = { belongs, createdAt, started: false, paused: false, end: null };
    this.#members.set(record.id, member);
    if (belongs.container === null) this.#labels.set(belongs.podUid, podLabels(record));
    return [this.#fact(record.id, member, { fact: "create", at: createdAt ?? nowAt })];
  }

  /** What happened to a container that was met. */
  tell(event: BusEvent, nowAt: string): LifecycleFact[] {
    if (!event.isOwn) return this.#ignore("exec");
    const member = this.#members.get(event.containerId);
    if (member === undefined) return this.#ignore("unknown");
    return this.#tellers[event.topic](event.containerId, member, {
      ...event,
      at: event.at ?? nowAt,
    });
  }

  /** Its process, as it stands. */
  standing(task: TaskRecord, at: string): LifecycleFact[] {
    const { containerId, status, exitStatus, exitedAt } = task;
    const member = this.#members.get(containerId);
    if (member === undefined || status === "unknown" || status === "created") return [];
    if (status === "stopped") {
      if (member.end !== null) return [];
      return this.#end(containerId, member, { exitStatus, exitedAt: exitedAt ?? at });
    }
    const paused = status === "paused";
    return [
      ...(member.started ? [] : this.#start(containerId, member, at)),
      ...(member.paused === paused ? [] : this.#pause(containerId, member, { paused, at })),
    ];
  }

  /** Containers without a process whose end was not told; sandboxes last. */
  endless(
    withProcess: ReadonlySet<string>,
  ): readonly { readonly id: string; readonly isSandbox: boolean }[] {
    return [...this.#members]
      .filter(([id, { end }]) => end === null && !withProcess.has(id))
      .map(([id, member]) => ({ id, isSandbox: isSandbox(member) }))
      .toSorted((a, b) => Number(a.isSandbox) - Number(b.isSandbox));
  }

  /** How one of them ended. */
  ended(containerId: string, end: PastEnd, nowAt: string): LifecycleFact[] {
    const member = this.#members.get(containerId);
    if (member === undefined || member.end !== null) return [];
    const { exitStatus, exitedAt, reason } = end;
    return this.#end(containerId, member, { exitStatus, exitedAt: exitedAt ?? nowAt, reason });
  }

  /** Those that are not there any more; sandboxes last. */
  missing(present: ReadonlySet<string>, at: string): LifecycleFact[] {
    return [...this.#members]
      .filter(([id]) => !present.has(id))
      .toSorted(([, a], [, b]) => Number(isSandbox(a)) - Number(isSandbox(b)))
      .flatMap(([id, member]) => this.#leave(id, member, at));
  }

  #start(id: string, member: Member, at: string): LifecycleFact[] {
    member.started = true;
    return [this.#fact(id, member, { fact: "start", at })];
  }

  #pause(
    id: string,
    member: Member,
    { paused, at }: { readonly paused: boolean; readonly at: string },
  ): LifecycleFact[] {
    member.paused = paused;
    return [this.#fact(id, member, { fact: paused ? "paused" : "resumed", at })];
  }

  #end(
    id: string,
    member: Member,
    end: {
      readonly exitStatus: number | null;
      readonly exitedAt: string;
      readonly reason?: string | null;
    },
  ): LifecycleFact[] {
    const { exitStatus, exitedAt, reason } = end;
    if (member.end !== null) {
      const told = member.end.exitStatus;
      if (told === exitStatus) return this.#ignore("repeated");
      this.#listener.onDisagreement({ containerId: id, told, later: exitStatus });
      return [];
    }
    member.end = { exitStatus };
    const told: Told = {
      at: exitedAt,
      ...(exitStatus === null ? {} : { exitCode: exitStatus }),
      ...(typeof reason === "string" ? { reason } : {}),
    };
    return [this.#fact(id, member, { fact: "exit", ...told })];
  }

  #leave(id: string, member: Member, at: string): LifecycleFact[] {
    const fact = this.#fact(id, member, { fact: "delete", at });
    this.#members.delete(id);
    if (isSandbox(member)) this.#labels.delete(member.belongs.podUid);
    return [fact];
  }

  #fact(id: string, { belongs }: Member, told: Told & { readonly fact: Fact }): LifecycleFact {
    const labels = this.#labels.get(belongs.podUid) ?? {};
    const { node } = this.#options;
    return { source: "kata", ...belongs, node, incarnation: id, ...told, labels };
  }

  #ignore(why: Ignored): [] {
    this.#listener.onIgnored(why);
    return [];
  }

  /** The oldest goes: the next listing meets it again. */
  #makeRoom(): void {
    if (this.#members.size < this.#options.maxContainers) return;
    const [oldest] = this.#members.keys();
    if (oldest !== undefined) this.#members.delete(oldest);
  }
}

function isSandbox({ belongs }: Member): boolean {
  return belongs.container === null;
}
