import { codecOf } from "./messages.ts";

/** What a container's own process went through, or one that was run beside it in the container. */
export interface BusEvent {
  readonly topic:
    | "/containers/create"
    | "/containers/delete"
    | "/tasks/start"
    | "/tasks/exit"
    | "/tasks/delete"
    | "/tasks/oom"
    | "/tasks/paused"
    | "/tasks/resumed";
  readonly containerId: string;
  /** False: it is about a process that somebody ran beside the container's own, a probe for instance. */
  readonly isOwn: boolean;
  /** When it was told: ISO 8601, UTC; null: that was not said. */
  readonly at: string | null;
  /** Of an exit, and of a delete where the runtime knows it. */
  readonly exitStatus: number;
  readonly exitedAt: string | null;
}

/** A number, or an object of 64 bits. */
export type Int64 = number | { toNumber(): number };

/** As it comes over the wire. */
export interface WireTimestamp {
  readonly seconds: Int64;
  readonly nanos: number;
}

export interface Envelope {
  readonly timestamp?: WireTimestamp | null;
  readonly namespace: string;
  readonly topic: string;
  readonly event?: { readonly typeUrl: string; readonly value: Buffer } | null;
}

interface Body {
  readonly id?: string;
  readonly containerId?: string;
  readonly exitStatus?: number;
  readonly exitedAt?: WireTimestamp | null;
}

/** Of which type the events of a topic are. */
const TYPES: Readonly<Record<BusEvent["topic"], string>> = {
  "/containers/create": "ContainerCreate",
  "/containers/delete": "ContainerDelete",
  "/tasks/start": "TaskStart",
  "/tasks/exit": "TaskExit",
  "/tasks/delete": "TaskDelete",
  "/tasks/oom": "TaskOOM",
  "/tasks/paused": "TaskPaused",
  "/tasks/resumed": "TaskResumed",
};

/** What an envelope tells; null: nothing that matters here. Throws where it cannot be read. */
export function busEventOf({ topic, timestamp, event }: Envelope): BusEvent | null {
  if (!isTopic(topic) || !event) return null;
  const { id = "", containerId = "", ...body } = codecOf(TYPES[topic]).decode(event.value) as Body;
  // A delete of Kata's newer runtime has the id alone.
  const container = containerId === "" ? id : containerId;
  if (container === "") return null;
  return {
    topic,
    containerId: container,
    isOwn: id === "" || id === container,
    at: timeOf(timestamp),
    exitStatus: body.exitStatus ?? 0,
    exitedAt: timeOf(body.exitedAt),
  };
}

/** The year 1, which Go has for "never", is no time. */
export function timeOf(timestamp: WireTimestamp | null | undefined): string | null {
  const seconds = numberOf(timestamp?.seconds ?? 0);
  if (!(seconds > 0)) return null;
  const ms = seconds * 1_000 + Math.floor((timestamp?.nanos ?? 0) / 1_000_000);
  return new Date(ms).toISOString();
}

export function numberOf(value: Int64): number {
  return typeof value === "number" ? value : value.toNumber();
}

function isTopic(topic: string): topic is BusEvent["topic"] {
  return Object.hasOwn(TYPES, topic);
}
