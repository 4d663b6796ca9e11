import type { LeaseThreadPlace } from "../processor/lease-thread.ts";
import type { Logger } from "../service/log-port.ts";
import type { Metrics } from "../service/metrics.ts";
import type { Tracing } from "../service/tracing.ts";
import type { MessageBus } from "../state/message-bus.ts";
import type { SharedCache } from "../state/shared-cache.ts";
import type { StateStore } from "../state/ports.ts";
import type { TaskSettings } from "../tasks/task-settings.ts";
import type { FsckSettings } from "./fsck.ts";
import type { Limits } from "./limits.ts";
import type { CopyReader } from "./roll-back.ts";

/** What a state manager is made of. */
export interface ManagerOptions {
  readonly store: StateStore;
  readonly limits?: Limits;
  /** Changesets that share a transaction at most; default 256. */
  readonly batchLimit?: number;
  /** Changesets that may wait; default 10,000. */
  readonly queueLimit?: number;
  /** Milliseconds of a write whose caller does not say; default 30,000. */
  readonly writeTimeoutMs?: number;
  /** States, and bytes of them, kept in memory for reads; default 100,000 and 64 MiB. */
  readonly cache?: { readonly entries: number; readonly bytes: number };
  /** A cache that is shared with other processes; unsaid: none. */
  readonly shared?: SharedCache;
  /** How soon changes of other processes are seen; default 200 ms. */
  readonly pollMs?: number;
  /** Changes kept in memory for watchers; default 10,000. */
  readonly keepChanges?: number;
  /** Days of history that are kept; default 0: all. */
  readonly historyDays?: number;
  /** The rollback database; unsaid, there is none. */
  readonly copies?: CopyReader;
  /** How tasks are held, tried again and watched. */
  readonly tasks?: Partial<TaskSettings>;
  /** What messages travel on; unsaid: on nothing. */
  readonly bus?: MessageBus;
  /** The topic of lifecycle facts on it; default `agent_lifecycle_events`. */
  readonly lifecycleTopic?: string;
  /** Where processors renew their leases off the event loop; unsaid: on it. */
  readonly leaseThread?: LeaseThreadPlace;
  /** Told after everything that this process wrote to main. */
  readonly onWritten?: () => void;
  /** The confusion detector; unsaid, it looks only when it is asked to, and knows no copies. */
  readonly fsck?: FsckSettings;
  readonly log?: Logger;
  readonly metrics?: Metrics;
  readonly tracing?: Tracing;
  /** Called at the beginning of `close`, while the store still serves. */
  readonly onClosing?: () => Promise<void>;
  /** Called at the end of `close`, when nothing uses the store any more. */
  readonly onClosed?: () => Promise<void>;
}
