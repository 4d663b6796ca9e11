import { fault } from "../check.ts";
import type { Check } from "../check.ts";

/** Whether the user of the cache may do what the cache does. */
export const cacheCommands: Check<{ readonly refused: readonly string[] }> = {
  name: "commands",
  look: ({ refused }) =>
    refused.length === 0
      ? null
      : fault(
          `refused: ${refused.join("; ")}`,
          "allow its user PING, GET, MGET, GETRANGE, SET, EVAL and EVALSHA on keys that begin with dragonfly.prefix",
        ),
};
