/** How to reach a started server as its superuser. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Holds the unix socket of the same port; there PostgreSQL asks for no password. */
  readonly socketFolder: string;
}

/** A connection string for one of its databases, over TCP. */
export function urlOf({ user, password, host, port }: ServerAddress, database: string): string {
  return `postgres://${user}:${password}@${host}:${port}/${database}`;
}
