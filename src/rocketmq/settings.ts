import type { Logger } from "../service/log-port.ts";
import type { Clock } from "../service/clock.ts";

/** The user of a RocketMQ whose access is controlled (ACL 2.0). */
export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** How the connection to a proxy is encrypted. */
export interface TlsSettings {
  /** Of the authority that signed the proxy's certificate, in PEM; unsaid: those that Node trusts. */
  readonly ca?: string;
  /** The name in the proxy's certificate, where that is not the name it is reached by. */
  readonly serverName?: string;
}

/** Where a RocketMQ is and how it is spoken with. */
export interface ConnectionSettings {
  /** `HOST:PORT` of the proxies; any of them answers for all. */
  readonly endpoints: readonly string[];
  readonly credentials?: Credentials;
  /** Unsaid: not encrypted. */
  readonly tls?: TlsSettings;
  /** How long one call may take. */
  readonly requestTimeoutMs: number;
  readonly log: Logger;
  readonly clock: Clock;
}
