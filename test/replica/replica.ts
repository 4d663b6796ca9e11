import { StateManager } from "../../src/manager/state-manager.ts";
import type { ManagerOptions } from "../../src/manager/manager-options.ts";
import type { ReadReplica, StateStore } from "../../src/state/ports.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import type { StoreOptions } from "../../src/supabase/state-store.ts";
import type { DatabaseAddress } from "../../src/supabase/transport.ts";
import { startPrivateTrio } from "../fault/private-trio.ts";
import type { PrivateTrio } from "../fault/private-trio.ts";
import { connectionTo } from "../support/manager.ts";
import { waitForReplay } from "../support/replica.ts";
import { until } from "../support/until.ts";

/** A main, migrated, and its replica, private to one test file; with what is opened on them. */
export interface Pair extends Pick<PrivateTrio, "main" | "readonly"> {
  openStore(options?: Partial<StoreOptions>): StateStore;
  /** Without a cache of its own, so that every read asks a database. */
  openManager(options?: Partial<StoreOptions & ManagerOptions>): StateManager;
  close(): Promise<void>;
}

const NO_CACHE = { entries: 0, bytes: 0 };

export async function openPair(): Promise<Pair> {
  const trio = await startPrivateTrio();
  const { main, readonly } = trio;
  await migrate(connectionTo(main.url));
  await waitForReplay(trio);
  const ends: (() => Promise<unknown>)[] = [];
  const openStore = (options: Partial<StoreOptions> = {}): StateStore => {
    const store = openStateStore({
      ...connectionTo(main.url),
      lanes: 2,
      readers: 4,
      dataBytes: 1_048_576,
      dataDepth: 64,
      replica: { ...connectionTo(readonly.url), lanes: 0, readers: 4 },
      ...options,
    });
    ends.push(() => store.close());
    return store;
  };
  return {
    main,
    readonly,
    openStore,
    openManager: (options = {}) => {
      const manager = new StateManager({
        store: openStore(options),
        pollMs: 20,
        cache: NO_CACHE,
        ...options,
      });
      ends.push(() => manager.close());
      return manager;
    },
    close: async () => {
      for (const end of ends.splice(0).toReversed()) await end();
      await trio.close();
    },
  };
}

/** The way to another place of the replica: through a proxy, to another database. */
export function replicaAt(address: DatabaseAddress): Pick<StoreOptions, "replica"> {
  return { replica: { ...connectionTo(""), address, lanes: 0, readers: 4 } };
}

export function replicaOf(of: { readonly replica: ReadReplica | null }): ReadReplica {
  if (of.replica === null) throw new Error("it has no replica");
  return of.replica;
}

/** Until reads go to the replica. */
export async function untilInUse(of: { readonly replica: ReadReplica | null }): Promise<void> {
  const replica = replicaOf(of);
  await until(() => replica.status.health === "ok", { what: "the use of the replica" });
}

/** Until they do not, and why. */
export async function untilNotInUse(of: { readonly replica: ReadReplica | null }): Promise<string> {
  const replica = replicaOf(of);
  return await until(() => replica.status.reason, { what: "the end of its use" });
}

/** What the replica answers, once it does: one that was held up by a busy machine is out of use for a second. */
export async function fromReplica<Read extends { readonly servedBy: string }>(
  read: () => Promise<Read>,
): Promise<Read> {
  const served = async (): Promise<Read | null> => {
    const found = await read();
    return found.servedBy === "readonly" ? found : null;
  };
  return await until(served, { what: "a read of the replica" });
}
