/** The thread in which processors over HTTP renew their leases: see `serveLeases`. */
import { serveLeases } from "../processor/serve-leases.ts";
import { HttpTasks } from "./http-tasks.ts";
import { Transport } from "./transport.ts";
import type { TransportOptions } from "./transport.ts";

serveLeases((data) => {
  const transport = new Transport(data as TransportOptions);
  return new HttpTasks((call, sent) => transport.send({ ...call, ...sent }));
});
