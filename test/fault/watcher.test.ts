import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { StateManager } from "../../src/index.ts";
import { startService } from "../support/child.ts";
import { proofLength } from "../support/length.ts";
import { Proxy } from "../support/proxy.ts";
import { until } from "../support/until.ts";
import { byScope, Follower, logOf } from "./followers.ts";
import { Ledger } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { startTransactions } from "./out-of-order.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";
import { randomFrom } from "./random.ts";

const BREAKS = proofLength({ short: 20, full: 100 });

let postgres: PrivatePostgres | undefined;
afterEach(async () => {
  await postgres?.close();
  postgres = undefined;
});

const missing = missingPostgres();

describe.skipIf(missing !== undefined)("while transactions commit out of order", () => {
  test(
    `a watcher that disconnects ${BREAKS} times misses nothing, in the order of steps`,
    { timeout: 360_000 },
    async () => {
      postgres = await PrivatePostgres.open();
      const { url } = postgres;
      const service = await startService([], { env: { SUPABASE_DB_URL: url } });
      const proxy = await Proxy.open({
        host: "127.0.0.1",
        port: Number(new URL(service.url).port),
      });
      onTestFinished(() => proxy.close());
      const library = await StateManager.open({ supabase: { main: url } });
      onTestFinished(() => library.close());
      const direct = HttpStateClient.open({ url: service.url });
      const cuttable = HttpStateClient.open({ url: `http://127.0.0.1:${proxy.port}` });

      const followers = {
        library: new Follower(library, { random: randomFrom(5) }),
        http: new Follower(direct, { random: randomFrom(6) }),
        cut: new Follower(cuttable, { random: randomFrom(7), cut: () => void proxy.cut() }),
      };
      const transactions = await startTransactions(url);
      const ledger = new Ledger();
      const load = startLoad({ ledger, faces: [direct, library], writers: 16, name: "watched" });
      const everyone = Object.values(followers);
      const isEnough = (): boolean => everyone.every(({ breaks }) => breaks >= BREAKS);
      await until(isEnough, { what: "enough disconnections", timeoutMs: 30_000 + 500 * BREAKS });
      await Promise.all([transactions.stop(), load.stop()]);

      const log = await logOf(url);
      const isComplete = (): boolean => everyone.every(({ seen }) => seen.length >= log.length);
      await until(isComplete, { what: "the end of the feed", timeoutMs: 120_000 }).catch(
        () => undefined,
      );
      await Promise.all(everyone.map((follower) => follower.stop()));
      await Promise.all([direct.close(), cuttable.close()]);
      expect(ledger.unexpected).toEqual([]);
      expect(transactions.committed).toBeGreaterThan(BREAKS);
      for (const [name, { seen }] of Object.entries(followers)) {
        expect(byScope(seen), name).toEqual(byScope(log));
      }
      const breaks = everyone.map((follower) => follower.breaks);
      console.log(
        `${log.length} changes, ${transactions.committed} by hand, ${breaks.join(", ")} breaks`,
      );
    },
  );
});
