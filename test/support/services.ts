import type { TestProject } from "vitest/node";
import { startServices } from "../../dev/services/services.ts";
import type { Services } from "../../dev/services/services.ts";

declare module "vitest" {
  interface ProvidedContext {
    services: Services;
  }
}

/** Starts the servers once for the whole run; stops them at its end, whatever that end is. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running = await startServices();
  project.provide("services", running.services);
  return () => running.stop();
}
