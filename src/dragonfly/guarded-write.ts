import { createHash } from "node:crypto";

/**
 * Keeps an entry, `version settled text`, unless a newer one is there: KEYS[1]; version, settled, text, milliseconds.
 *
 * Numbers are compared as decimal text, by length and then by letter, for Lua 5.1 (Redis) has no integers beyond
 * 2^53. Of one version the one that was read later is kept: it may be served for longer.
 */
export const SCRIPT = `
local function below(a, b) return #a < #b or (#a == #b and a < b) end
local version, settled = string.match(redis.call('GETRANGE', KEYS[1], 0, 40), '^(%d+) (%d+) ')
if version and below(ARGV[1], version) then return 0 end
if version == ARGV[1] and not below(settled, ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
return 1
`;

const DIGEST = createHash("sha1").update(SCRIPT).digest("hex");

/** Sends one command, and answers what the server does. */
export type Send = (command: readonly string[]) => Promise<unknown>;

/** What is written: version, settled, text, milliseconds until it goes. */
export type WriteValues = readonly [version: string, settled: string, text: string, ttlMs: string];

/** The two ways to say a write: by the script's digest, where the server has it, and with its text. */
export function writeCommands(
  key: string,
  values: WriteValues,
): { readonly short: readonly string[]; readonly whole: readonly string[] } {
  return {
    short: ["EVALSHA", DIGEST, "1", key, ...values],
    whole: ["EVAL", SCRIPT, "1", key, ...values],
  };
}

/** The server would run the script, and does not have it. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}

/** One write. The script's text travels only where the server does not have it. */
export async function guardedWrite(send: Send, key: string, values: WriteValues): Promise<void> {
  const { short, whole } = writeCommands(key, values);
  try {
    await send(short);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    await send(whole);
  }
}
