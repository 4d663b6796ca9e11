import { InvalidArgumentError } from "commander";
import { AgentRuntimeError } from "../state/errors.ts";
import type { Json } from "../state/json.ts";
import { parseJsonText } from "../state/json-text.ts";
import { quote } from "../state/quote.ts";
import { JSON_LIMITS } from "./read-input.ts";

const MAX_BIGINT = 2n ** 63n - 1n;

/** A parser of whole numbers within bounds, for an option of commander. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** A parser of versions: whole numbers from `min` up, 64 bits wide. */
export function versionNumber(min: bigint): (text: string) => bigint {
  return (text) => {
    const value = /^\d{1,19}$/.test(text) ? BigInt(text) : -1n;
    if (value >= min && value <= MAX_BIGINT) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} up.`);
  };
}

/** What `--append POINTER=JSON` says. */
export interface AppendArgument {
  readonly path: string;
  readonly items: readonly Json[];
}

/** Collects `--append POINTER=JSON`; given more than once, the items come in that order. */
export function appendArgument(text: string, before?: AppendArgument): AppendArgument {
  const equals = text.indexOf("=");
  if (equals < 0) {
    throw new InvalidArgumentError('It must be POINTER=JSON, like /messages={"role":"user"}.');
  }
  const path = text.slice(0, equals);
  if (before !== undefined && before.path !== path) {
    throw new InvalidArgumentError("All --append of one command go to the same array.");
  }
  return { path, items: [...(before?.items ?? []), jsonArgument(text.slice(equals + 1))] };
}

/** JSON typed as an argument. */
export function jsonArgument(text: string): Json {
  try {
    return parseJsonText(text, JSON_LIMITS);
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    throw new InvalidArgumentError(
      `${quote(text)}: ${error.message}; texts stand in double quotes.`,
    );
  }
}

/** How fast a recorded run is played: the factor of its own time; Infinity waits nowhere. */
export function speedArgument(text: string): number {
  if (text === "recorded") return 1;
  if (text === "full") return Infinity;
  const factor = /^\d{1,6}(\.\d{1,3})?x$/i.test(text) ? Number.parseFloat(text) : 0;
  if (factor > 0) return factor;
  throw new InvalidArgumentError("It must be recorded, full, or a factor like 10x.");
}

/** A parser of where to listen. */
export function listenArgument(text: string): { readonly host: string; readonly port: number } {
  const [, host, digits] = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host !== undefined && port <= 65_535) return { host: host.replaceAll(/[[\]]/g, ""), port };
  throw new InvalidArgumentError(
    "It must be HOST:PORT, like 0.0.0.0:8087; port 0 picks a free one.",
  );
}
