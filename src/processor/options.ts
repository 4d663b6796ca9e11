import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { refused, wholeNumber } from "../state/fields.ts";
import { checkId, checkNamespace, checkScope, checkType } from "../state/identifiers.ts";
import { checkFields } from "../state/nearest.ts";

/** How a processor works; every option has a default. */
export interface ProcessorOptions {
  /** How many handlers run at a time; default 8. */
  readonly concurrency?: number;
  /** Only tasks of these kinds; default: any. */
  readonly kinds?: readonly string[];
  /** Only these stacks; default: any. */
  readonly stacks?: readonly string[];
  readonly namespace?: string;
  /** The worker's name, for people; default: host and process id. */
  readonly worker?: string;
  /** The agent that it works for: it stops, as with `stop`, when that agent's state becomes `draining`. */
  readonly agent?: string;
  /** Milliseconds that `stop` waits for handlers to checkpoint or end; default 10,000. */
  readonly drainMs?: number;
  /** Milliseconds that one claim waits for a task; default 20,000. */
  readonly waitMs?: number;
}

const FIELDS = [
  "concurrency",
  "kinds",
  "stacks",
  "namespace",
  "worker",
  "agent",
  "drainMs",
  "waitMs",
] as const satisfies readonly (keyof ProcessorOptions)[];

const MAX_CONCURRENCY = 1_000;
const MAX_DRAIN_MS = 86_400_000;
/** A service refuses more. */
const MAX_WAIT_MS = 60_000;

export interface CheckedOptions {
  readonly concurrency: number;
  readonly kinds: readonly string[];
  readonly stacks: readonly string[];
  readonly namespace: string | undefined;
  readonly worker: string;
  readonly agent: string | undefined;
  readonly drainMs: number;
  readonly waitMs: number;
}

/** @throws {AgentRuntimeError} INVALID_*, UNKNOWN_FIELD. */
export function checkOptions(options: ProcessorOptions): CheckedOptions {
  checkFields(options, FIELDS, "the options");
  const { kinds = [], stacks = [], namespace, worker = ownName() } = options;
  for (const [field, list] of Object.entries({ kinds, stacks }))
    if (!Array.isArray(list)) throw refused("INVALID_REQUEST", field, "must be an array");
  return {
    concurrency: wholeNumber(options.concurrency ?? 8, "concurrency", {
      from: 1,
      to: MAX_CONCURRENCY,
    }),
    kinds: kinds.map((kind) => checkType(kind)),
    stacks: stacks.map((stack) => checkScope(stack)),
    namespace: namespace === undefined ? undefined : checkNamespace(namespace),
    worker: checkId(worker),
    agent: options.agent === undefined ? undefined : checkId(options.agent),
    drainMs: wholeNumber(options.drainMs ?? 10_000, "drainMs", { from: 0, to: MAX_DRAIN_MS }),
    waitMs: wholeNumber(options.waitMs ?? 20_000, "waitMs", { from: 0, to: MAX_WAIT_MS }),
  };
}

function ownName(): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9.-]/g, "-")
    .slice(0, 100);
  return `${host || randomUUID()}.${process.pid}`;
}
