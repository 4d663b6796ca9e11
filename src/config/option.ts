import type { Json } from "../state/json.ts";
import type { Kind } from "./kinds.ts";

/** One setting: everything that parsing, `--help`, `--print-config` and docs/config.md say of it. */
export interface Option<Value> {
  readonly kind: Kind<Value>;
  /** As a file would have it. */
  readonly default: Json;
  /** What its number counts. */
  readonly unit?: string;
  readonly sentence: string;
  /** Variables that other tools know it by, the first one that is set counts. */
  readonly aliases?: readonly string[];
  /** Never told in an error. */
  readonly secret?: true;
  /** Not on the command line, where every user of the machine could read it. */
  readonly flagless?: true;
}

/** Its value's type follows from its kind. */
export function option<Value>(kind: Kind<Value>, rest: Omit<Option<Value>, "kind">): Option<Value> {
  return { kind, ...rest };
}

export const MIB = 1024 * 1024;
export const TEN_MINUTES_MS = 600_000;
export const PREFER_VARIABLE =
  "Prefer the variable to the flag: others on the machine can read a command line.";
