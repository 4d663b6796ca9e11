import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startRocketmq } from "../../dev/services/rocketmq.ts";
import type { Rocketmq, RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { findParts } from "../../dev/services/tools.ts";
import type { Missing } from "../../scripts/parts.d.mts";

/** Where tests ask for the RocketMQ of this run, which is started for the first that does. */
export interface RocketmqDoor {
  readonly url: string;
  close(): Promise<void>;
}

export async function openRocketmqDoor(): Promise<RocketmqDoor> {
  let starting: Promise<Rocketmq | Missing> | undefined;
  const server = createServer((_request, response) => {
    starting ??= start();
    starting.then(
      (found) => response.end(JSON.stringify("missing" in found ? found : found.address)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.close();
      const started = await starting?.catch(() => undefined);
      if (started !== undefined && !("missing" in started)) await started.stop();
    },
  };
}

/** What the door answers. */
export type RocketmqFound = RocketmqAddress | Missing;

async function start(): Promise<Rocketmq | Missing> {
  const { rocketmq } = findParts();
  if (rocketmq.missing !== undefined) return rocketmq;
  return await startRocketmq({ tools: rocketmq });
}
