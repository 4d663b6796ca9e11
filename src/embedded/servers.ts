/** The servers that a home can run, in the order in which they are started. */
export const SERVER_NAMES = ["main", "readonly", "rollback"] as const;

/** The servers of a home, each with a folder of its name in the data directory. */
export type ServerName = (typeof SERVER_NAMES)[number];

/** Where a server listens: a unix socket, which `pg` takes as its `host`. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

export const SUPERUSER = "postgres";
export const DATABASE = "postgres";

/** The numbers only name the sockets; nothing listens on the network. */
const PORTS: Readonly<Record<ServerName, number>> = { main: 5432, readonly: 5433, rollback: 5434 };

/** Where a server of a home listens, as its superuser. */
export function serverAddress(runFolder: string, name: ServerName): ServerAddress {
  return { host: runFolder, port: PORTS[name], user: SUPERUSER, database: DATABASE };
}
