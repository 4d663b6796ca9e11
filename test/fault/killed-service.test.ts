import { expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { startService } from "../support/child.ts";
import { proveOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { placeOf } from "./place.ts";
import { randomFrom } from "./random.ts";

const KILLS = proofLength({ short: 2, full: 20 });
const WRITERS = 512;

proveOnPostgres("a service that is killed in the middle of 512 writes", (home) => {
  test(
    "keeps all it acknowledged, whole, and takes every other write exactly once",
    { timeout: 60_000 + KILLS * 20_000 },
    async () => {
      const place = await placeOf(home);
      const ledger = new Ledger();
      const random = randomFrom(1);
      const startMs: number[] = [];
      let underWay = 0;
      let service = await startService(place.args, place);
      for (let kill = 1; kill <= KILLS; kill += 1) {
        const face = HttpStateClient.open({ url: service.url });
        const load = startLoad({ ledger, faces: [face], writers: WRITERS, name: `life-${kill}` });
        await ledger.more(100 + random(700));
        const dead = service.child.kill();
        await Promise.all([dead, load.stop(), face.close()]);
        underWay += ledger.unsettled.length; // now and then a batch was answered just before
        const left = place.serverPids();

        const from = performance.now();
        service = await startService(place.args, place);
        startMs.push(Math.round(performance.now() - from));
        expect(place.serverPids().filter((pid) => left.includes(pid))).toEqual([]);
        expect(await judge(place.connection, ledger)).toEqual(SOUND);

        const again = HttpStateClient.open({ url: service.url });
        await ledger.retryUnsettled(again);
        await again.close();
        expect(ledger.unsettled).toEqual([]);
        expect(await judge(place.connection, ledger)).toEqual(SOUND);
      }
      expect(underWay, "writes under way at the kills").toBeGreaterThan(0);
      expect(await service.child.kill("SIGTERM")).toEqual({ code: 0, signal: null });
      expect(place.serverPids()).toEqual([]);
      console.log(
        `${home.name}: ${ledger.acknowledged} acknowledged writes, starts ${startMs.join(", ")} ms`,
      );
    },
  );
});
