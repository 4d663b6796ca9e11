import type { Transport } from "./caller.ts";
import type { Address, ConnectionOptions } from "./connection.ts";
import type { DataApiAddress } from "./data-api/address.ts";
import { openDataApiTransport } from "./data-api/transport.ts";
import { openPostgresTransport } from "./postgres-transport.ts";

/** How to reach a database: over PostgreSQL's own protocol, or over a Data API. */
export type DatabaseAddress = Address | { readonly dataApi: DataApiAddress };

export interface TransportOptions extends Omit<ConnectionOptions, "address"> {
  readonly address: DatabaseAddress;
  /** Connections, or requests at a time, that write. */
  readonly lanes: number;
  /** Connections, or requests at a time, that read. */
  readonly readers: number;
  /** How long `close` waits for reads that are under way; unsaid: until they end. */
  readonly cutReadsAfterMs?: number;
}

/** The ways to a database. Connects when first used. */
export function openTransport(options: TransportOptions): Transport {
  const { address } = options;
  return "dataApi" in address
    ? openDataApiTransport({ ...options, address: address.dataApi })
    : openPostgresTransport({ ...options, address });
}
