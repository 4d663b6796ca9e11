import { isDataApi, isLoopback } from "./database-kinds.ts";
import { variableOf } from "./options.ts";
import type { Config, OptionKey } from "./options.ts";

/** What must hold between settings that are each right alone. */
export interface Relation {
  /** The one to blame first: its origin is told. */
  readonly keys: readonly [OptionKey, ...OptionKey[]];
  /** What is wrong and what to set; undefined where it holds. */
  readonly broken: (config: Config) => string | undefined;
}

export const RELATIONS: readonly Relation[] = [
  ...(["main", "readonly", "rollback"] as const).map((role): Relation => {
    return {
      keys: [`supabase.${role}`, `supabase.${role}Key`],
      broken: ({ supabase }) =>
        !isDataApi(supabase[role]) || supabase[`${role}Key`] !== ""
          ? undefined
          : `supabase.${role} is the URL of a Data API, which opens to a key only: set supabase.${role}Key ` +
            `(or ${variableOf(`supabase.${role}Key`)}) to a secret key of the project`,
    };
  }),
  {
    keys: ["listen", "auth.tokens"],
    broken: ({ listen, auth }) =>
      isLoopback(listen.host) || auth.tokens.length > 0
        ? undefined
        : `listen ${listen.host} can be reached from other machines, and nobody would need a token: ` +
          "set auth.tokens (or AGENT_RUNTIME_AUTH_TOKENS), or listen on 127.0.0.1",
  },
  {
    keys: ["messages", "rocketmq.endpoints"],
    broken: ({ messages, rocketmq }) =>
      messages !== "rocketmq" || rocketmq.endpoints.length > 0
        ? undefined
        : "messages is rocketmq, and nothing says where that is: set rocketmq.endpoints " +
          "(or ROCKETMQ_ENDPOINTS) to HOST:PORT of its proxy",
  },
  {
    keys: ["rocketmq.accessKey", "rocketmq.secretKey"],
    broken: ({ rocketmq }) =>
      (rocketmq.accessKey === "") === (rocketmq.secretKey === "")
        ? undefined
        : "rocketmq.accessKey and rocketmq.secretKey are set together or not at all",
  },
  {
    keys: ["dragonfly.tlsAuthority", "dragonfly.url"],
    broken: ({ dragonfly }) =>
      dragonfly.tlsAuthority === "" || /^rediss:/i.test(dragonfly.url)
        ? undefined
        : "dragonfly.tlsAuthority is for an encrypted connection: begin dragonfly.url with rediss://",
  },
  {
    keys: ["tasks.leaseMs", "tasks.sweepMs"],
    broken: ({ tasks }) =>
      tasks.leaseMs >= 3 * tasks.sweepMs
        ? undefined
        : `tasks.leaseMs (${tasks.leaseMs}) must be at least three times tasks.sweepMs (${tasks.sweepMs}), ` +
          "or a lease that ran out would be found long after",
  },
  {
    keys: ["tasks.maxBackoffMs", "tasks.backoffMs"],
    broken: ({ tasks }) =>
      tasks.maxBackoffMs >= tasks.backoffMs
        ? undefined
        : `tasks.maxBackoffMs (${tasks.maxBackoffMs}) must be at least tasks.backoffMs (${tasks.backoffMs})`,
  },
  {
    keys: ["tasks.ageingMs", "tasks.sweepMs"],
    broken: ({ tasks }) =>
      tasks.ageingMs === 0 || tasks.ageingMs >= tasks.sweepMs
        ? undefined
        : `tasks.ageingMs (${tasks.ageingMs}) is less than tasks.sweepMs (${tasks.sweepMs}): ` +
          "every task that waits would count as aged; set it higher, or to 0",
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
