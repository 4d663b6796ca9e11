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

/** One write. The script's text travels only where the server does not have it. */
export async function guardedWrite(
  send: Send,
  key: string,
  values: readonly [version: string, settled: string, text: string, ttlMs: string],
): Promise<void> {
  try {
    await send(["EVALSHA", DIGEST, "1", key, ...values]);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    await send(["EVAL", SCRIPT, "1", key, ...values]);
  }
}
