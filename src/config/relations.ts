import { isIPv4 } from "node:net";
import type { Config, OptionKey } from "./options.ts";

/** What must hold between settings that are each right alone. */
export interface Relation {
  /** The one to blame first: its origin is told. */
  readonly keys: readonly [OptionKey, ...OptionKey[]];
  /** What is wrong and what to set; undefined where it holds. */
  readonly broken: (config: Config) => string | undefined;
}

export const RELATIONS: readonly Relation[] = [
  {
    keys: ["listen", "auth.tokens"],
    broken: ({ listen, auth }) =>
      isLoopback(listen.host) || auth.tokens.length > 0
        ? undefined
        : `listen ${listen.host} can be reached from other machines, and nobody would need a token: ` +
          "set auth.tokens (or AGENT_RUNTIME_AUTH_TOKENS), or listen on 127.0.0.1",
  },
  {
    keys: ["limits.bodyBytes", "limits.dataBytes"],
    broken: ({ limits }) =>
      limits.bodyBytes >= limits.dataBytes
        ? undefined
        : `limits.bodyBytes (${limits.bodyBytes}) must be at least limits.dataBytes ` +
          `(${limits.dataBytes}), or no document of that size could come in`,
  },
  {
    keys: ["write.queueLimit", "write.batchLimit"],
    broken: ({ write }) =>
      write.queueLimit >= write.batchLimit
        ? undefined
        : `write.queueLimit (${write.queueLimit}) must be at least write.batchLimit ` +
          `(${write.batchLimit}), or no batch could fill`,
  },
];

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.");
  return host === "::1" || host.toLowerCase() === "localhost";
}
