/** The thread in which the library's processors renew their leases: see `serveLeases`. */
import { serveLeases } from "../processor/serve-leases.ts";
import { openTransport } from "../supabase/transport.ts";
import type { TransportOptions } from "../supabase/transport.ts";
import { taskStoreOver } from "../supabase/tasks/task-store.ts";
import { DEFAULT_TASK_SETTINGS } from "../tasks/task-settings.ts";
import { TaskManager } from "../tasks/task-manager.ts";
import type { TaskManagerOptions } from "../tasks/task-manager.ts";

/** What the thread is given. */
export interface LeaseThreadWay extends Required<Pick<TaskManagerOptions, "limits" | "settings">> {
  readonly way: TransportOptions;
}

serveLeases((data) => {
  const { way, ...options } = data as LeaseThreadWay;
  const { leaseMs = DEFAULT_TASK_SETTINGS.leaseMs } = options.settings;
  // One that is silent is left alone before the lease is over.
  const statementTimeoutMs = Math.min(way.statementTimeoutMs, Math.ceil(leaseMs / 3));
  const { reader } = openTransport({ ...way, statementTimeoutMs, lanes: 0, readers: 1 });
  return new TaskManager({ ...options, store: taskStoreOver(reader) });
});
