import { createClient } from "@redis/client";
import { onTestFinished, type TestContext } from "vitest";
import { startRedis } from "../../dev/services/redis.ts";
import type { Redis } from "../../dev/services/redis.ts";
import { findParts } from "../../dev/services/tools.ts";
import { DragonflyCache } from "../../src/dragonfly/dragonfly-cache.ts";
import type { DragonflyOptions } from "../../src/dragonfly/dragonfly-cache.ts";
import { silentLog } from "../../src/service/log.ts";
import { until } from "./until.ts";

/** The servers that stand in for DragonflyDB. */
export const STAND_INS = ["redis", "valkey"] as const;

/** A Redis of one's own, or a Valkey, whose user may do what the cache does and no more; it ends with the test. */
export async function redisOf(
  context: Pick<TestContext, "skip">,
  settings: readonly string[] = [],
  server: (typeof STAND_INS)[number] = "redis",
): Promise<Redis> {
  const binary = findParts()[server];
  if (binary.missing !== undefined) {
    if (process.env["CI"] === "true") throw new Error(`missing: ${binary.missing}`);
    return context.skip(`missing: ${binary.missing}`);
  }
  const redis = await startRedis({ binary, settings });
  onTestFinished(() => redis.stop());
  return redis;
}

/** A cache on it, once it is reached; it ends with the test. */
export async function cacheOn(
  url: string,
  options: Partial<DragonflyOptions> = {},
): Promise<DragonflyCache> {
  const cache = new DragonflyCache({
    url,
    prefix: "test:",
    ttlMs: 600_000,
    entryBytes: 256 * 1024,
    timeoutMs: 10_000, // no test is about how fast a busy machine answers
    connectTimeoutMs: 10_000,
    log: silentLog,
    ...options,
  });
  onTestFinished(() => cache.close());
  await until(() => cache.trouble === null, { what: "a cache that is reached" });
  return cache;
}

/** Commands that the cache's user may not give. */
export interface RedisAdmin {
  command(...words: readonly string[]): Promise<unknown>;
  /** Everything that is there, by key. */
  copy(): Promise<Map<string, string>>;
  /** Puts back what was there once, whatever is there now. */
  restore(copy: ReadonlyMap<string, string>): Promise<void>;
}

export async function adminOf({ address }: Redis): Promise<RedisAdmin> {
  const client = createClient({ url: address.adminUrl, socket: { reconnectStrategy: 50 } });
  client.on("error", () => undefined); // it is made anew
  await client.connect();
  onTestFinished(() => client.destroy());
  const keys = (): Promise<string[]> => client.sendCommand(["KEYS", "*"]);
  return {
    command: (...words) => client.sendCommand([...words]),
    copy: async () => {
      const all = new Map<string, string>();
      for (const key of await keys()) {
        const value = await client.sendCommand<string | null>(["GET", key]);
        if (value !== null) all.set(key, value);
      }
      return all;
    },
    restore: async (copy) => {
      await client.sendCommand(["FLUSHALL"]);
      for (const [key, value] of copy) await client.sendCommand(["SET", key, value]);
    },
  };
}
