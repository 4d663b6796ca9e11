/** What was seen of a database, from its outside. */
export interface DatabaseFacts {
  readonly role: "main" | "readonly" | "rollback";
  /** `15.8`. */
  readonly version: string;
  /** `150008`. */
  readonly versionNumber: number;
  readonly isReplica: boolean;
  /** Of the cluster; null where the login may not ask. */
  readonly systemIdentifier: string | null;
  readonly login: LoginFacts;
  readonly settings: Readonly<Record<"fsync" | "full_page_writes" | "synchronous_commit", string>>;
  /** How far its clock is ahead of this machine's, and how exactly that is known. */
  readonly skewMs: number;
  readonly roundTripMs: number;
  /** What the schema lacks, as a sentence; null: it is what this program needs. */
  readonly schemaFault: string | null;
  /** Functions that this program calls and the login may not. */
  readonly deniedFunctions: readonly string[];
  /** Whether a pooler stands before it. */
  readonly isPooled: boolean;
  /** Whether what was told with NOTIFY was heard; null: nobody needs it there. */
  readonly hearsNotify: boolean | null;
  /** Of a replica: whether it came to where main stood; null where main is not known. */
  readonly hasCaughtUp: boolean | null;
  readonly isReplayPaused: boolean;
}

/** What the login may do. */
export interface LoginFacts {
  readonly name: string;
  readonly isSuperuser: boolean;
  readonly mayBypassRules: boolean;
  /** Tables of the schema that it could write to by itself. */
  readonly writableTables: number;
  readonly mayChangeSchema: boolean;
}

/** What was seen of the copies in the rollback database. */
export interface CopiesFacts {
  /** Of the main that it follows; null where it never followed one. */
  readonly lineage: string | null;
  /** Of the main beside it; null where that is not known. */
  readonly mainLineage: string | null;
  /** Whether some service keeps it one step behind. */
  readonly isLed: boolean;
  /** Milliseconds since it last had all that main had; null: never. */
  readonly behindMs: number | null;
  readonly brokenScopes: number;
}

/** What was seen of a RocketMQ. */
export interface RocketmqFacts {
  readonly brokers: readonly BrokerFacts[];
  readonly wanted: RocketmqWanted;
}

/** What this program needs of each broker. */
export interface RocketmqWanted {
  readonly topics: readonly {
    readonly name: string;
    readonly type: string;
    readonly queues: number;
  }[];
  readonly groups: readonly { readonly name: string; readonly retries: number }[];
}

export interface BrokerFacts {
  readonly name: string;
  /** By their names; without those that it lacks. */
  readonly topics: ReadonlyMap<string, { readonly type: string; readonly queues: number }>;
  readonly groups: ReadonlyMap<string, { readonly isOrdered: boolean; readonly retries: number }>;
}
