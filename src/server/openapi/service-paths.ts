import type { JsonObject } from "../../state/json.ts";
import { answers, json } from "./parts.ts";

/** What concerns the service itself. */
export const servicePaths: JsonObject = {
  "/v1/info": {
    get: {
      operationId: "getInfo",
      summary: "The version, and what each part runs on",
      responses: answers({ 200: json("The parts.", "Info") }),
    },
  },
  "/healthz": {
    get: {
      operationId: "getHealth",
      summary: "Whether the process is alive",
      security: [],
      responses: { 200: json("It does.", "Health") },
    },
  },
  "/readyz": {
    get: {
      operationId: "getReadiness",
      summary: "Whether the service is ready for requests",
      security: [],
      responses: { 200: json("They are.", "Readiness"), 503: json("Not now.", "Readiness") },
    },
  },
  "/metrics": {
    get: {
      operationId: "getMetrics",
      summary: "Metrics for Prometheus",
      responses: answers({
        200: {
          description: "Prometheus text format.",
          content: { "text/plain": { schema: { type: "string" } } },
        },
      }),
    },
  },
  "/openapi.json": {
    get: {
      operationId: "getOpenapi",
      summary: "This document",
      responses: answers({ 200: json("OpenAPI 3.1.", "Info") }),
    },
  },
  "/": {
    get: {
      operationId: "getDashboard",
      summary: "The dashboard, for people",
      security: [],
      responses: {
        200: {
          description: "A page.",
          content: { "text/html": { schema: { type: "string" } } },
        },
      },
    },
  },
  "/dashboard/{file}": {
    get: {
      operationId: "getDashboardFile",
      summary: "The dashboard's files",
      security: [],
      parameters: [
        { name: "file", in: "path", required: true, schema: { type: "string", maxLength: 200 } },
      ],
      responses: answers({ 200: { description: "A style, a script or a picture." } }),
    },
  },
};
