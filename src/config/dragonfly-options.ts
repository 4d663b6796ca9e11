import { redisUrl } from "./database-kinds.ts";
import { file, integer, line } from "./kinds.ts";
import { MIB, option, PREFER_VARIABLE } from "./option.ts";

/** The cache that services share. */
export const DRAGONFLY_OPTIONS = {
  "dragonfly.url": option(redisUrl(), {
    default: "",
    aliases: ["DRAGONFLY_URL"],
    secret: true,
    sentence: `A DragonflyDB that the services share as a cache, as redis:// or rediss:// (TLS). Empty: each has the cache in its own memory alone. ${PREFER_VARIABLE}`,
  }),
  "dragonfly.tlsAuthority": option(file(), {
    default: "",
    sentence:
      "The file, in PEM, of the authority that signed its certificate. Empty: those that Node trusts.",
  }),
  "dragonfly.prefix": option(line(), {
    default: "agent_state:",
    sentence: "What every key in it begins with.",
  }),
  "dragonfly.ttlMs": option(integer(1_000, 2 ** 28), {
    default: 3_600_000,
    unit: "milliseconds",
    sentence: "How long a state is kept there at most.",
  }),
  "dragonfly.entryBytes": option(integer(1_024, 64 * MIB), {
    default: 256 * 1024,
    unit: "characters",
    sentence: "The largest state that is kept there.",
  }),
  "dragonfly.timeoutMs": option(integer(1, 60_000), {
    default: 75,
    unit: "milliseconds",
    sentence: "How long a read waits for it before it goes to a database.",
  }),
};
