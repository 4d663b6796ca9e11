import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TestContext } from "vitest";
import type { SharedCache } from "../../src/state/shared-cache.ts";
import { anyKey, entryOf, keep, keptCacheContract, oneOf, TTL_MS } from "./kept-cache.ts";

/** What every shared cache does. */
export function sharedCacheContract(
  name: string,
  open: (context: TestContext) => Promise<SharedCache>,
): void {
  keptCacheContract(name, open, fc.oneof(fc.nat(120), fc.constant(2 ** 52)));

  describe(`a shared cache: ${name}`, () => {
    test("of one version keeps what was read last, by number and not by letter", async (context) => {
      const cache = await open(context);
      const at = anyKey();
      for (const settled of [9, 100, 99, 2 ** 52, 10]) cache.put(at, entryOf(1n, settled), TTL_MS);
      await keep(cache, anyKey(), entryOf(1n)); // after those before it, on one connection
      expect(await oneOf(cache, at)).toEqual(entryOf(1n, 2 ** 52));
    });

    test("answers nothing once it is closed, and takes nothing", async (context) => {
      const cache = await open(context);
      const at = anyKey();
      await keep(cache, at, entryOf(1n));
      await cache.close();
      await cache.close();
      cache.put(at, entryOf(2n), TTL_MS);
      expect(await oneOf(cache, at)).toBeUndefined();
      expect(cache.trouble).not.toBeNull();
    });
  });
}
