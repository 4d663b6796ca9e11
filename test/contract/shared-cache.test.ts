import { describe, test } from "vitest";
import { cacheOn, redisOf } from "../support/redis.ts";
import { sharedCacheContract } from "./shared-cache.ts";

sharedCacheContract(
  "on a Redis, as a user who may give only documented commands",
  async (context) => {
    const { address } = await redisOf(context);
    return await cacheOn(address.url);
  },
);

// No package archive has a DragonflyDB, so that CI=true does not ask for one.
const url = process.env["DRAGONFLY_TEST_URL"];
if (url === undefined) noDragonfly();
else sharedCacheContract("on a real DragonflyDB", () => cacheOn(url));

function noDragonfly(): void {
  describe("a shared cache: on a real DragonflyDB", () => {
    test("is named", (context) => {
      context.skip("DRAGONFLY_TEST_URL names none");
    });
  });
}
