import { redisUrl } from "./database-kinds.ts";
import { file, integer, line } from "./kinds.ts";
import { MIB, option, PREFER_VARIABLE } from "./option.ts";

/** The cache that services share. */
export const DRAGONFLY_OPTIONS = {
  "dragonfly.url": option(redisUrl(), {
    default: "",
    aliases: ["DRAGONFLY_URL"],
    secret: true,
    sentence: `A DragonflyDB (or Redis) that the services share as a cache: redis:// or rediss:// (TLS). Empty: each service caches only in its own memory. ${PREFER_VARIABLE}`,
  }),
  "dragonfly.tlsAuthority": option(file(), {
    default: "",
    sentence:
      "A PEM file with the authority that signed its certificate. Empty: the authorities that Node trusts.",
  }),
  "dragonfly.prefix": option(line(), {
    default: "agent_state:",
    sentence: "The prefix of every key.",
  }),
  "dragonfly.ttlMs": option(integer(1_000, 2 ** 28), {
    default: 3_600_000,
    unit: "milliseconds",
    sentence: "The longest that a state is kept in the cache.",
  }),
  "dragonfly.entryBytes": option(integer(1_024, 64 * MIB), {
    default: 256 * 1024,
    unit: "characters",
    sentence: "The largest state that is kept in the cache.",
  }),
  "dragonfly.timeoutMs": option(integer(1, 60_000), {
    default: 75,
    unit: "milliseconds",
    sentence: "How long a read waits for the cache before it goes to a database.",
  }),
};
