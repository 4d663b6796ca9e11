import type { Config } from "../config/options.ts";
import { DragonflyCache } from "../dragonfly/dragonfly-cache.ts";
import type { StateManager } from "../manager/state-manager.ts";
import type { Logger } from "../service/log-port.ts";
import { maskSecrets } from "../service/redact.ts";
import type { JsonObject } from "../state/json.ts";

/** The shared cache of a configuration; null where it has none. Nothing waits until it is reached. */
export function openSharedCache(config: Config, log: Logger): DragonflyCache | null {
  const { url, tlsAuthority, ...settings } = config.dragonfly;
  if (url === "") return null;
  return new DragonflyCache({
    url,
    ...(tlsAuthority === "" ? {} : { tlsAuthority }),
    ...settings,
    connectTimeoutMs: config.supabase.connectTimeoutMs,
    log,
  });
}

/** What `/v1/info` says of the caches. */
export function cacheInfo({ sharedCache }: StateManager, config: Config): JsonObject {
  const own = { runsOn: "this process", health: "ok" };
  if (sharedCache === null) return own;
  return { ...own, shared: { runsOn: maskSecrets(config.dragonfly.url), ...sharedCache } };
}
