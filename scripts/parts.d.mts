/** A part that is not on this machine: what it is, and how to install it. */
export interface Missing {
  readonly missing: string;
}

/** PostgreSQL's own binaries. */
export interface PostgresBinaries {
  readonly missing?: never;
  readonly bin: string;
  readonly major: number;
}

/** The PgBouncer program. */
export interface PgbouncerBinary {
  readonly missing?: never;
  readonly file: string;
  readonly version: string;
}

/** What a RocketMQ is fetched by and runs on. */
export interface RocketmqTools {
  readonly missing?: never;
  readonly java: string;
  /** Needed until the jars are there. */
  readonly maven?: string;
  /** Says which jars. */
  readonly pom: string;
  /** The folder of the jars; not there until they were fetched, then complete. */
  readonly jars: string;
}

/** A browser that tests can drive. */
export interface BrowserBinary {
  readonly missing?: never;
  readonly file: string;
}

/** A server that stands in for DragonflyDB: a Redis or a Valkey. */
export interface RedisBinary {
  readonly missing?: never;
  readonly file: string;
}

/** Interpreters of what servers of Redis's protocol run as scripts. */
export interface LuaBinaries {
  readonly missing?: never;
  readonly lua51: string;
  readonly lua54: string;
}

/** What a containerd of one's own is made of. */
export interface ContainerdTools {
  readonly missing?: never;
  readonly daemon: string;
  /** Of runc. */
  readonly shim: string;
  readonly ctr: string;
  readonly runc: string;
  /** One that needs no library. */
  readonly busybox: string;
}

/** What a whole node needs beside its containerd. */
export interface NodeTools {
  readonly missing?: never;
  /** The folder of the programs that give pods an address (CNI). */
  readonly plugins: string;
}

export interface Parts {
  readonly postgres: PostgresBinaries | Missing;
  readonly pgbouncer: PgbouncerBinary | Missing;
  readonly rocketmq: RocketmqTools | Missing;
  readonly browser: BrowserBinary | Missing;
  readonly redis: RedisBinary | Missing;
  readonly valkey: RedisBinary | Missing;
  readonly lua: LuaBinaries | Missing;
  readonly containerd: ContainerdTools | Missing;
}

export function findParts(): Parts;
export function provideParts(): Parts;
export function findNode(): NodeTools | Missing;
export function provideNode(): NodeTools | Missing;
