import { HttpStateClient } from "../../src/client/http-client.ts";
import { serve } from "../server/serve.ts";
import { describeOnHomes, oneHome } from "../support/homes.ts";
import type { TestHome } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import { stateFaceContract } from "./state-face.ts";

describeOnHomes("the state manager", (home) => {
  stateFaceContract("the library", async () => {
    const bench = await openBench(home);
    return { face: bench.openManager(), close: () => bench.close() };
  });
});

// HTTP stands before the library, and sees no more of the home than that does.
describeOnHomes("the state manager behind HTTP", behindHttp, oneHome());

function behindHttp(home: TestHome): void {
  stateFaceContract("the HTTP client", async () => {
    const bench = await openBench(home);
    const manager = bench.openManager();
    const served = await serve(manager, {
      feedHead: () => manager.feedHead(),
      readState: (id, options) => manager.readState(id, options),
    });
    const face = HttpStateClient.open({ url: served.url });
    return {
      face,
      close: async () => {
        await face.close();
        await served.close();
        await bench.close();
      },
    };
  });
}
