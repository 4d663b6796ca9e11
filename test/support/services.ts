import type { TestProject } from "vitest/node";
import { startServices } from "../../dev/services/services.ts";
import type { Services } from "../../dev/services/services.ts";
import { openRocketmqDoor } from "./rocketmq-door.ts";

declare module "vitest" {
  interface ProvidedContext {
    services: Services;
    /** Where a test asks for a RocketMQ. */
    rocketmq: { readonly url: string };
  }
}

/** Starts the servers once for the whole run; stops them at its end, whatever that end is. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running = await startServices();
  const door = await openRocketmqDoor();
  project.provide("services", running.services);
  project.provide("rocketmq", { url: door.url });
  return async () => {
    await Promise.all([running.stop(), door.close()]);
  };
}
