import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import type { RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { startRocketmq } from "../../dev/services/rocketmq.ts";
import { startServices } from "../../dev/services/services.ts";
import type { Services } from "../../dev/services/services.ts";
import { findParts } from "../../dev/services/tools.ts";
import type { Missing } from "../../scripts/parts.d.mts";
import { openEmbeddedHome } from "../../src/embedded/home.ts";
import { silentLog } from "../../src/service/log.ts";
import { openDoor } from "./door.ts";
import type { Opened } from "./door.ts";

declare module "vitest" {
  interface ProvidedContext {
    services: Services;
    /** Where a test asks for a RocketMQ: the answer is a `RocketmqFound`. */
    rocketmq: { readonly url: string };
    /** Where a test asks for an embedded main, each worker under a name of its own: the answer is a `ServerAddress`. */
    embedded: { readonly url: string };
  }
}

/** What the door of RocketMQ answers. */
export type RocketmqFound = RocketmqAddress | Missing;

/** Starts the servers once for the whole run; stops them at its end, whatever that end is. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running = await startServices();
  const rocketmq = await openDoor(openRocketmq);
  const embedded = await openDoor(openEmbedded);
  project.provide("services", running.services);
  project.provide("rocketmq", { url: rocketmq.url });
  project.provide("embedded", { url: embedded.url });
  return async () => {
    await Promise.all([running.stop(), rocketmq.close(), embedded.close()]);
  };
}

async function openRocketmq(): Promise<Opened> {
  const { rocketmq } = findParts();
  if (rocketmq.missing !== undefined) {
    return { answer: rocketmq satisfies RocketmqFound, stop: () => Promise.resolve() };
  }
  const started = await startRocketmq({ tools: rocketmq });
  return { answer: started.address satisfies RocketmqFound, stop: () => started.stop() };
}

async function openEmbedded(): Promise<Opened> {
  const dataDir = await mkdtemp(join(tmpdir(), "art-home-"));
  const roles = ["main"] as const;
  const home = await openEmbeddedHome({ dataDir, binaries: "npm", roles, log: silentLog });
  return {
    answer: home.address("main"),
    stop: async () => {
      await home.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
