import { expect, test } from "vitest";
import { Follower } from "../../src/follower/follower.ts";
import { silentLog } from "../../src/service/log.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { openFollowedStore } from "../../src/supabase/rollback/followed-store.ts";
import { openRollbackStore } from "../../src/supabase/rollback/rollback-store.ts";
import { prepareSchema } from "../../src/supabase/prepare-schema.ts";
import { connectionTo } from "../support/manager.ts";
import { proveOnPrivateServers, openSupabase, wayTo } from "../support/supabase.ts";
import { until } from "../support/until.ts";

proveOnPrivateServers("over Data APIs", (createDatabase) => {
  test("one Supabase follows another, one step behind", async () => {
    const main = await openSupabase(createDatabase);
    const other = await openSupabase(createDatabase, { isMigrated: false });
    await migrate(connectionTo(other.ownerUrl), "rollback");
    const way = wayTo({ url: other.double.url });
    expect(await prepareSchema(way, "rollback")).toEqual({ applied: [] });
    await expect(prepareSchema(wayTo({ url: main.double.url }), "rollback")).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
    });
    const copies = openRollbackStore(way);
    const followed = openFollowedStore(wayTo({ url: main.double.url }));
    const follower = new Follower({
      main: followed,
      copies,
      pollMs: 20,
      share: 1,
      log: silentLog,
    });
    try {
      const manager = main.openManager();
      await manager.updateState("before", "note", { text: 'ü"\\n', big: 1 });
      follower.start();
      for (let n = 1; n <= 3; n++) await manager.updateState("a", "note", { n, text: "é𝄞" });
      await manager.hold("before");
      await until(async () => {
        const copy = await copies.readCopy("default", "a");
        return copy?.broken === null && copy.promotedStep === 2n && copy;
      });
      const copy = (await copies.readCopy("default", "a"))!;
      expect(copy.states).toMatchObject([{ text: '{"n":2,"text":"é𝄞"}', verified: true }]);
      const standing = { namespace: "default", scope: "before" };
      await until(async () => (await copies.standing(standing))?.hold === true);
      expect(await copies.standings(null, 10)).toHaveLength(2);
      expect(await copies.status()).toMatchObject({ scopes: 2, held: 1, broken: 0, led: true });
      expect(await copies.digests({ namespace: "default", scope: "a" })).toHaveLength(2);
    } finally {
      await follower.stop();
      await Promise.all([copies.close(), followed.close()]);
      await other.close();
      await main.close();
    }
  });
});
