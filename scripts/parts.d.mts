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

export interface Parts {
  readonly postgres: PostgresBinaries | Missing;
  readonly pgbouncer: PgbouncerBinary | Missing;
}

export function findParts(): Parts;
export function provideParts(): Parts;
