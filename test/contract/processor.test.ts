import { HttpStateClient } from "../../src/client/http-client.ts";
import { serve } from "../server/serve.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import { processorContract } from "./processor.ts";

// Each face on each home would say little more, and take long.
const isPooled = ({ name }: { readonly name: string }): boolean => name === "pgbouncer";

describeOnHomes(
  "tasks",
  (home) => {
    processorContract("the library", async () => {
      const bench = await openBench(home);
      return { face: bench.openManager(), close: () => bench.close() };
    });
  },
  testHomes().filter((home) => !isPooled(home)),
);

describeOnHomes(
  "tasks",
  (home) => {
    processorContract("the HTTP client", async () => {
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
  },
  testHomes().filter(isPooled),
);
