// DBOS: workflows a second with one step each, 32 and 128 callers; the better of the two.
import { DBOS } from "@dbos-inc/dbos-sdk";
import { best, order, rateOf } from "./order.mjs";

DBOS.setConfig({
  name: "bench",
  systemDatabaseUrl: order.url,
  systemDatabasePoolSize: 20,
  logLevel: "error",
  runAdminServer: false,
});
const workflow = DBOS.registerWorkflow(
  async () => await DBOS.runStep(async () => 1, { name: "step" }),
  { name: "workflow" },
);
await DBOS.launch();
const rates = [];
for (const callers of [32, 128]) rates.push(await rateOf(callers, () => workflow()));
best(rates);
