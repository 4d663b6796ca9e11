import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TestContext } from "vitest";
import type { SharedCache, SharedEntry } from "../../src/state/shared-cache.ts";
import { proofLength } from "../support/length.ts";
import { until } from "../support/until.ts";

const numRuns = proofLength({ short: 30, full: 1_000 });
export const TTL_MS = 60_000;

/** What the cache of one process and that of several have in common. */
export type KeptCache = Pick<SharedCache, "get" | "put">;

export const entryOf = (
  version: bigint,
  settled = 1,
  text = `text of ${version}`,
): SharedEntry => ({ version, settled, text });

export const anyKey = (): string => `contract:${randomUUID()}`;

/** What is there under one key. */
export async function oneOf(cache: KeptCache, key: string): Promise<SharedEntry | undefined> {
  return (await cache.get([key]))[0];
}

/** Until something is there. */
export async function keep(cache: KeptCache, key: string, kept: SharedEntry): Promise<void> {
  cache.put(key, kept, TTL_MS);
  await until(async () => (await oneOf(cache, key)) !== undefined, { what: "an entry" });
}

/**
 * What every cache of states does, in the process or outside.
 *
 * @param settled what is settled in entries; one value where the cache does not judge by it.
 */
export function keptCacheContract<T extends KeptCache>(
  name: string,
  open: (context: TestContext) => Promise<T>,
  settled: fc.Arbitrary<number>,
): void {
  describe(`a cache: ${name}`, () => {
    test("answers what was kept, in the order of the keys, and nothing for others", async (context) => {
      const cache = await open(context);
      const [a, b] = [anyKey(), anyKey()];
      const text = 'with "quotes", a\nline, \u0000, 漢字 and 🜁';
      const [small] = fc.sample(settled, 1);
      const [first, second] = [entryOf(1n, small), entryOf(9_007_199_254_740_993n, small, text)];
      await keep(cache, a, first);
      await keep(cache, b, second);
      expect(await cache.get([b, anyKey(), a])).toEqual([second, undefined, first]);
    });

    test("keeps the newest version, and of one version what was read last", async (context) => {
      const cache = await open(context);
      const version = fc.constantFrom(
        1n,
        2n,
        9n,
        10n,
        99n,
        100n,
        9_007_199_254_740_992n,
        9_007_199_254_740_993n,
      );
      const written = fc.array(fc.record({ version, settled }), { minLength: 1, maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(written, async (all) => {
          const at = anyKey();
          for (const one of all) cache.put(at, entryOf(one.version, one.settled), TTL_MS);
          const newest = all.reduce((best, next) => (isBefore(best, next) ? next : best));
          await until(async () => {
            const kept = await oneOf(cache, at);
            return kept?.version === newest.version && kept.settled === newest.settled;
          });
        }),
        { numRuns },
      );
    });

    test("forgets what its time is over for", async (context) => {
      const cache = await open(context);
      const at = anyKey();
      cache.put(at, entryOf(1n), 50);
      await keep(cache, anyKey(), entryOf(1n));
      await until(async () => (await oneOf(cache, at)) === undefined, { what: "nothing" });
    });
  });
}

type Place = Pick<SharedEntry, "version" | "settled">;

function isBefore(left: Place, right: Place): boolean {
  if (left.version !== right.version) return left.version < right.version;
  return left.settled < right.settled;
}
