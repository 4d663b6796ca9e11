import type { WorkerBeat } from "../state/task-face.ts";

/** What the thread of leases is told. */
export type LeaseOrder =
  | { readonly order: "keep" | "drop"; readonly incarnation: string }
  /** The event loop of the process turns. */
  | { readonly order: "alive" };

/** What it tells. */
export type LeaseNews =
  /** It has begun, whatever the event loop of the process does from now on. */
  | { readonly news: "up" }
  | { readonly news: "beat"; readonly incarnation: string; readonly beat: WorkerBeat }
  | { readonly news: "lost"; readonly incarnation: string };

/** How often a process says that its event loop turns. */
export const ALIVE_EVERY_MS = 5_000;

/** A process whose event loop stood still for so long will not come back: its leases end. */
export const STUCK_AFTER_MS = 600_000;
