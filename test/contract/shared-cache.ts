import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TestContext } from "vitest";
import type { SharedCache, SharedEntry } from "../../src/state/shared-cache.ts";
import { proofLength } from "../support/length.ts";
import { until } from "../support/until.ts";

const numRuns = proofLength({ short: 30, full: 1_000 });
const TTL_MS = 60_000;

const entry = (version: bigint, settled = 1, text = `text of ${version}`): SharedEntry => ({
  version,
  settled,
  text,
});

/** What every shared cache does. */
export function sharedCacheContract(
  name: string,
  open: (context: TestContext) => Promise<SharedCache>,
): void {
  const key = (): string => `contract:${randomUUID()}`;
  const one = async (cache: SharedCache, at: string): Promise<SharedEntry | undefined> =>
    (await cache.get([at]))[0];
  const put = async (cache: SharedCache, at: string, kept: SharedEntry): Promise<void> => {
    cache.put(at, kept, TTL_MS);
    await until(async () => (await one(cache, at)) !== undefined, { what: "an entry" });
  };

  describe(`a shared cache: ${name}`, () => {
    test("answers what was kept, in the order of the keys, and nothing for others", async (context) => {
      const cache = await open(context);
      const [a, b] = [key(), key()];
      const text = 'with "quotes", a\nline, \u0000, 漢字 and 🜁';
      await put(cache, a, entry(1n));
      await put(cache, b, entry(9_007_199_254_740_993n, 2 ** 52, text));
      expect(await cache.get([b, key(), a])).toEqual([
        entry(9_007_199_254_740_993n, 2 ** 52, text),
        undefined,
        entry(1n),
      ]);
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
      const written = fc.array(fc.record({ version, settled: fc.nat(120) }), {
        minLength: 1,
        maxLength: 12,
      });
      await fc.assert(
        fc.asyncProperty(written, async (all) => {
          const at = key();
          for (const { version: v, settled } of all) cache.put(at, entry(v, settled), TTL_MS);
          const newest = all.reduce((best, next) => (isBefore(best, next) ? next : best));
          await until(async () => {
            const kept = await one(cache, at);
            return kept?.version === newest.version && kept.settled === newest.settled;
          });
        }),
        { numRuns },
      );
    });

    test("forgets what its time is over for", async (context) => {
      const cache = await open(context);
      const at = key();
      cache.put(at, entry(1n), 50);
      await put(cache, key(), entry(1n));
      await until(async () => (await one(cache, at)) === undefined, { what: "nothing" });
    });

    test("answers nothing once it is closed, and takes nothing", async (context) => {
      const cache = await open(context);
      const at = key();
      await put(cache, at, entry(1n));
      await cache.close();
      await cache.close();
      cache.put(at, entry(2n), TTL_MS);
      expect(await one(cache, at)).toBeUndefined();
      expect(cache.trouble).not.toBeNull();
    });
  });
}

type Place = Pick<SharedEntry, "version" | "settled">;

function isBefore(left: Place, right: Place): boolean {
  if (left.version !== right.version) return left.version < right.version;
  return left.settled < right.settled;
}
