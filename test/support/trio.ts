import { inject } from "vitest";
import { urlOf } from "../../dev/services/address.ts";
import type { ServerAddress } from "../../dev/services/address.ts";
import { createDatabase, describeOnHomes, testHomes } from "./homes.ts";
import type { TestDatabase, TestHome } from "./homes.ts";
import { waitForReplay } from "./replica.ts";
import { openSql } from "./sql.ts";
import type { SqlPool } from "./sql.ts";

/** One of the three databases of a test, with superuser's SQL on it. */
export interface TrioDatabase extends SqlPool {
  /** The way that the program under test takes. */
  readonly url: string;
}

/** The three databases of a test; `close` drops them. */
export interface Trio {
  readonly main: TrioDatabase;
  /** The same database on the replica; `waitForReplay` waits until it has all that main has. */
  readonly readonly: TrioDatabase;
  /** On a cluster of its own. */
  readonly rollback: TrioDatabase;
  close(): Promise<void>;
}

/** Runs a suite on every home that has three databases to open with `openTrio`. */
export function describeOnTrios(name: string, suite: (home: TestHome) => void): void {
  const homes = testHomes().filter((home) => home.name !== "embedded");
  describeOnHomes(name, suite, homes);
}

/**
 * The three databases of a test, once the replica has its one.
 *
 * @param given the one on main, for example a bench's; unsaid: a new one, empty.
 */
export async function openTrio(home: TestHome, given?: TestDatabase): Promise<Trio> {
  if (home.name === "embedded") throw new Error("the embedded home has main alone");
  const services = inject("services");
  const onMain = given ?? (await home.createDatabase());
  const rollbackServer = present(services.rollback);
  const onRollback = await createDatabase((name) => urlOf(rollbackServer, name));
  const replicaUrl = urlOf(present(services.replica), onMain.name);
  const main = { url: onMain.url, ...openSql(onMain.adminUrl) };
  const readonly = { url: replicaUrl, ...openSql(replicaUrl) };
  const rollback = { url: onRollback.url, ...openSql(onRollback.adminUrl) };
  await waitForReplay({ main, readonly });
  return {
    main,
    readonly,
    rollback,
    close: async () => {
      for (const database of [main, readonly, rollback]) await database.close();
      for (const database of [onMain, onRollback]) await database.drop();
    },
  };
}

function present(server: ServerAddress | { readonly missing: string }): ServerAddress {
  if ("missing" in server) throw new Error(`not here: ${server.missing}`);
  return server;
}
