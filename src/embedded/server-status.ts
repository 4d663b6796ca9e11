import type { ServerName } from "./servers.ts";

/**
 * What a server is about: on its way up; being copied anew from main (the replica alone); serving;
 * dead, and being brought back; not to be started as things are; shut down.
 */
export type ServerState = "starting" | "seeding" | "ready" | "restarting" | "failed" | "stopped";

/** How a server of a home is. */
export interface ServerStatus {
  readonly name: ServerName;
  readonly pid: number | undefined;
  /** How often it came back after it had died. */
  readonly restarts: number;
  readonly state: ServerState;
  /** Why it is not ready, with what to do where somebody has to do something. */
  readonly reason?: string;
}
