import { HttpStateClient } from "../../src/client/http-client.ts";
import { serve } from "../server/serve.ts";
import { describeOnHomes, oneHome } from "../support/homes.ts";
import type { TestHome } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import { taskFaceContract } from "./task-face.ts";

describeOnHomes("tasks", (home) => {
  taskFaceContract("the library", async () => {
    const bench = await openBench(home);
    return { face: bench.openManager(), close: () => bench.close() };
  });
});

// HTTP stands before the library, and sees no more of the home than that does.
describeOnHomes("tasks behind HTTP", behindHttp, oneHome());

function behindHttp(home: TestHome): void {
  taskFaceContract("the HTTP client", async () => {
    const bench = await openBench(home);
    const served = await serve(bench.openManager());
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
