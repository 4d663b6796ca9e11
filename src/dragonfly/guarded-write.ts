import { createHash } from "node:crypto";

/**
 * Keeps an entry unless a newer one is there: KEYS[1]; version, settled, text, milliseconds.
 *
 * Numbers are compared as decimal text, by length and then by letter, for Lua 5.1 (Redis) has no integers beyond
 * 2^53. Of one version the one that was read later is kept: it may be served for longer.
 */
const SCRIPT = `
local function below(a, b) return #a < #b or (#a == #b and a < b) end
local held = redis.call('HMGET', KEYS[1], 'v', 's')
if held[1] and held[2] then
  if below(ARGV[1], held[1]) then return 0 end
  if ARGV[1] == held[1] and not below(held[2], ARGV[2]) then return 0 end
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 's', ARGV[2], 'd', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
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
