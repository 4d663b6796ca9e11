import type { JsonObject } from "../../state/json.ts";
import { fsckPaths } from "./fsck-paths.ts";
import { lifecyclePaths } from "./lifecycle-paths.ts";
import { parkedPaths } from "./parked-paths.ts";
import { schemas } from "./schemas.ts";
import { scopePaths } from "./scope-paths.ts";
import { servicePaths } from "./service-paths.ts";
import { statePaths } from "./state-paths.ts";
import { taskPaths } from "./task-paths.ts";

/** The HTTP API as OpenAPI 3.1; a test keeps its paths and the routes equal. */
export const openapiDocument: JsonObject = {
  openapi: "3.1.0",
  info: {
    title: "Agent Runtime State",
    version: "1",
    description: "State for AI agents: every step versioned, durable and reversible.",
    license: { name: "MIT", identifier: "MIT" },
  },
  servers: [{ url: "/" }],
  // An empty requirement beside the other: without configured tokens, none is asked for.
  security: [{}, { token: [] }],
  paths: {
    ...statePaths,
    ...scopePaths,
    ...taskPaths,
    ...fsckPaths,
    ...parkedPaths,
    ...lifecyclePaths,
    ...servicePaths,
  },
  components: {
    securitySchemes: { token: { type: "http", scheme: "bearer" } },
    schemas,
  },
};
