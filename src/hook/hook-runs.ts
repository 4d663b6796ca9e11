import type { Hook } from "./pod-identity.ts";

/** Containers of a pod that are remembered. */
const MAX_CONTAINERS = 256;

interface Run {
  readonly postStart?: number;
  readonly preStop?: number;
}

/**
 * When each hook of each container's run was called. A kubelet that calls `preStop` again means the same one:
 * it has the time of the first, until the container starts anew.
 */
export class HookRuns {
  readonly #runs = new Map<string, Run>();

  /** The time that a hook which is called now has. */
  timeOf(container: string, hook: Hook, now: number): number {
    const run = this.#runs.get(container) ?? {};
    const at = hook === "preStop" ? (run.preStop ?? now) : now;
    if (this.#runs.size >= MAX_CONTAINERS && !this.#runs.has(container)) this.#runs.clear();
    this.#runs.set(container, hook === "preStop" ? { ...run, preStop: at } : { postStart: at });
    return at;
  }
}
