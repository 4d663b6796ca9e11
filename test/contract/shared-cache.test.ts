import { describe, expect, test } from "vitest";
import { adminOf, cacheOn, redisOf, STAND_INS } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { sharedCacheContract } from "./shared-cache.ts";

for (const server of STAND_INS) {
  sharedCacheContract(
    `on a ${server}, as a user who may give only documented commands`,
    async (context) => {
      const { address } = await redisOf(context, [], server);
      return await cacheOn(address.url);
    },
  );

  sharedCacheContract(
    `on a ${server} in cluster mode, which refuses keys of several slots`,
    async (context) => {
      const redis = await redisOf(context, ["cluster-enabled yes"], server);
      const admin = await adminOf(redis);
      await admin.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
      await until(async () =>
        String(await admin.command("CLUSTER", "INFO")).includes("cluster_state:ok"),
      );
      await expect(admin.command("MGET", "a", "b")).rejects.toThrow("CROSSSLOT");
      return await cacheOn(redis.address.url);
    },
  );
}

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
