import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";

interface Stopped {
  /** Answers what was asked, for half of the time at most. */
  readonly server: () => Promise<void>;
  /** Finishes what was accepted; a database that stands still holds it up for as long as a statement may take. */
  readonly manager: { close(): Promise<void> };
  /** Servers of our own, which nobody else would end; null: there are none. */
  readonly home: { close(): Promise<void> } | null;
}

/** Stops a service: within the time in order, and after that without what hangs. */
export async function stopInTime(
  graceMs: number,
  { server, manager, home }: Stopped,
  log: Logger,
): Promise<void> {
  const from = systemClock.monotonicMs();
  await server();
  const leftMs = Math.max(0, graceMs - (systemClock.monotonicMs() - from));
  const closing = manager.close();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<true>((resolve) => (timer = setTimeout(() => resolve(true), leftMs)));
  const isLate = await Promise.race([closing, late]);
  clearTimeout(timer);
  if (isLate !== true) return;
  closing.catch(() => undefined); // Whatever becomes of it, nobody waits any more.
  log.warn({ graceMs }, "it did not stop in time (shutdown.graceMs), and goes without what hangs");
  await home?.close();
}
