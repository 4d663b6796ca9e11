import { setTimeout as pause } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import type { Logger } from "../service/log-port.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { StateFace } from "../state/face.ts";

/** Where an agent's state is read and watched. */
export type AgentStates = Pick<StateFace, "getState" | "watch">;

export interface DrainWatch {
  readonly agent: string;
  readonly namespace?: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Called when it has looked for the first time, or could not: what the agent goes to from now on is seen. */
  readonly onLooked: () => void;
}

/** A watch begins a moment after it was asked for: what happens in between is seen by the next look. */
const LOOK_MS = 10_000;
const RETRY = { firstMs: 200, maxMs: 10_000 };

/**
 * Whether an agent went to `draining` since this was called; false where the signal aborts before. One that is
 * draining already is left over from what ran under its name before.
 */
export async function untilDraining(states: AgentStates, options: DrainWatch): Promise<boolean> {
  const { agent, signal, log } = options;
  let since: bigint | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const { version, phase } = await readAgent(states, options).finally(options.onLooked);
      since ??= version;
      if (phase === "draining" && version > since) return true;
      if (await sawDraining(states, options)) return true;
      failures = 0;
    } catch (error) {
      if (signal.aborted) return false;
      failures += 1;
      log.warn({ agent, failures, error }, "cannot see whether the agent drains, will look again");
      await rest(backoffMs(failures, RETRY, Math.random()), signal);
    }
  }
  return false;
}

/** Watches for a while. */
async function sawDraining(
  states: AgentStates,
  { agent, namespace, signal }: DrainWatch,
): Promise<boolean> {
  const over = new AbortController();
  const end = (): void => over.abort();
  const timer = setTimeout(end, LOOK_MS);
  signal.addEventListener("abort", end, { once: true });
  const where = namespace === undefined ? {} : { namespace };
  try {
    const changes = states.watch({ id: agent, data: false, signal: over.signal, ...where });
    for await (const { phase } of changes) if (phase === "draining") return true;
  } catch (error) {
    if (!over.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
  return false;
}

async function readAgent(
  states: AgentStates,
  { agent, namespace, signal }: DrainWatch,
): Promise<{ readonly version: bigint; readonly phase: string | null }> {
  const where = namespace === undefined ? {} : { namespace };
  try {
    return await states.getState(agent, { consistency: "strong", signal, ...where });
  } catch (error) {
    const code = error instanceof AgentRuntimeError ? error.code : null;
    if (code === "STATE_NOT_FOUND" || code === "GONE") return { version: 0n, phase: null };
    throw error;
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
