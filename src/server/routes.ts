import type { FastifyInstance } from "fastify";
import { batchRoutes } from "./batch.ts";
import { dashboardRoutes } from "./dashboard.ts";
import { fsckRoutes } from "./fsck.ts";
import { healthRoutes } from "./health.ts";
import { infoRoutes } from "./info.ts";
import { lifecycleRoutes } from "./lifecycle.ts";
import { openapiRoutes } from "./openapi.ts";
import type { RouteContext } from "./options.ts";
import { parkedRoutes } from "./parked.ts";
import { scopeOrderRoutes } from "./scope-orders.ts";
import { scopeRoutes } from "./scopes.ts";
import { stateRoutes } from "./states.ts";
import { taskRoutes } from "./tasks.ts";
import { watchRoutes } from "./watch.ts";

/** Adds every route of the API. */
export function addRoutes(app: FastifyInstance, context: RouteContext): void {
  stateRoutes(app, context);
  batchRoutes(app, context);
  scopeRoutes(app, context);
  scopeOrderRoutes(app, context);
  taskRoutes(app, context);
  parkedRoutes(app, context);
  lifecycleRoutes(app, context);
  watchRoutes(app, context);
  fsckRoutes(app, context);
  infoRoutes(app, context);
  healthRoutes(app, context);
  openapiRoutes(app);
  dashboardRoutes(app);
}
