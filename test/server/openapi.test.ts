import Fastify from "fastify";
import type { FastifyInstance, InjectOptions } from "fastify";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { changeJson } from "../../src/state/change-json.ts";
import { DEFAULT_LIMITS } from "../../src/server/options.ts";
import { addRoutes } from "../../src/server/routes.ts";
import { openapiDocument } from "../../src/server/openapi/document.ts";
import { ERROR_STATUS } from "../../src/state/errors.ts";
import type { Bench } from "../support/manager.ts";
import { changeLike, faceThat, openSomeBench } from "./faces.ts";
import { partsThatAreWell, serverOver } from "./serve.ts";

let bench: Bench;
let app: FastifyInstance;
let validator: FastifyInstance;

beforeAll(async () => {
  bench = await openSomeBench();
  app = serverOver(bench.openManager());
  validator = schemaValidator();
});
afterAll(async () => {
  await Promise.all([app.close(), validator.close()]);
  await bench.close();
});

/** A server that answers what is wrong with a body: the framework has a schema compiler. */
function schemaValidator(): FastifyInstance {
  const strictly = { coerceTypes: false, removeAdditional: false, useDefaults: false } as const;
  const server = Fastify({ ajv: { customOptions: { ...strictly, strict: false } } });
  server.addSchema({ ...openapiDocument, $id: "openapi" });
  server.post("/:schema", (request, reply) => {
    const { schema } = request.params as { schema: string };
    const reference = { $ref: `openapi#/components/schemas/${schema}` };
    const validate = request.compileValidationSchema(reference);
    return reply.send(validate(request.body) ? [] : validate.errors);
  });
  return server;
}

async function faultsOf(schema: string, value: object): Promise<unknown> {
  const answer = await validator.inject({ method: "POST", url: `/${schema}`, payload: value });
  return answer.json();
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

function documented(): string[] {
  const paths = openapiDocument["paths"] as Record<string, object>;
  return Object.entries(paths).flatMap(([path, operations]) =>
    METHODS.filter((method) => Object.hasOwn(operations, method.toLowerCase())).map(
      (method) => `${method} ${path}`,
    ),
  );
}

test("every route is in the document, and nothing else", async () => {
  const routes: string[] = [];
  const bare = Fastify({ exposeHeadRoutes: false });
  bare.addHook("onRoute", ({ method, url }) => {
    const path = url.replaceAll(/\/:(\w+)/g, "/{$1}").replace("::", ":");
    routes.push(`${String(method)} ${path}`);
  });
  addRoutes(bare, { ...partsThatAreWell(faceThat({})), limits: DEFAULT_LIMITS });
  await bare.close();
  expect(routes.toSorted()).toEqual(documented().toSorted());
});

test("each operation has a name of its own, and each reference leads somewhere", async () => {
  const text = JSON.stringify(openapiDocument);
  const names = [...text.matchAll(/"operationId":"(\w+)"/g)].map(([, name]) => name);
  expect(new Set(names).size).toBe(documented().length);
  const components = openapiDocument["components"] as { schemas: Record<string, object> };
  for (const [, schema] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    expect(Object.keys(components.schemas)).toContain(schema);
  }
  expect((await app.inject("/openapi.json")).json()).toEqual(openapiDocument);
});

test("the answers are as the document says", async () => {
  const [id, scope] = [randomUUID(), randomUUID()];
  const put: InjectOptions = {
    method: "PUT",
    url: `/v1/states/${id}`,
    payload: { type: "task", data: { n: 1 }, scope, actor: "me" },
  };
  const step: InjectOptions = {
    method: "POST",
    url: `/v1/scopes/${scope}/steps`,
    payload: { changes: [{ op: "merge", id, patch: { n: 2 } }] },
  };
  const batch: InjectOptions = {
    method: "POST",
    url: "/v1/states:batch",
    payload: {
      writes: [{ id: `${id}-2`, type: "note", data: 1 }, { id: "" }, { scope, changes: [] }],
    },
  };
  const order = (name: string) => `/v1/scopes/${scope}/${name}`;
  const calls: readonly (readonly [schema: string, call: InjectOptions | string])[] = [
    ["Written", put],
    ["Committed", step],
    ["BatchAnswer", batch],
    ["State", `/v1/states/${id}`],
    ["StateList", "/v1/states?limit=1"],
    ["History", `/v1/states/${id}/history`],
    ["Diff", `/v1/states/${id}/diff`],
    ["ScopeStatus", `/v1/scopes/${scope}`],
    ["ScopeStates", `/v1/scopes/${scope}/states`],
    ["Problem", { method: "POST", url: order("rollback"), payload: { expectedStep: "1" } }],
    ["Rollback", { method: "POST", url: order("rollback"), payload: { reason: "a try" } }],
    ["ScopeStatus", { method: "POST", url: order("hold") }],
    ["ScopeStatus", { method: "POST", url: order("release") }],
    ["FsckReport", { method: "POST", url: "/v1/fsck", payload: { scope, plan: true } }],
    ["Findings", "/v1/fsck?all=true&limit=5"],
    ["Health", "/healthz"],
    ["Readiness", "/readyz"],
    ["Info", "/v1/info"],
    ["Problem", "/v1/states/none"],
    ["Problem", "/v1/nothing"],
    ["Problem", { ...put, headers: { "if-match": '"9"' } }],
  ];
  for (const [schema, call] of calls) {
    const answer = (await app.inject(call)).json<object>();
    expect({ schema, faults: await faultsOf(schema, answer) }).toEqual({ schema, faults: [] });
  }
  expect(await faultsOf("Change", changeJson(changeLike({ patch: [] })))).toEqual([]);
});

test("the requests that the document allows are those that are taken", async () => {
  const good = { type: "task", data: 1, expectedVersion: "0", expiresAt: null };
  expect(await faultsOf("PutState", good)).toEqual([]);
  expect(await faultsOf("PutState", { ...good, color: 1 })).not.toEqual([]);
  expect(await faultsOf("PutState", { ...good, expectedVersion: 1 })).not.toEqual([]);
  expect(await faultsOf("State", { ...good })).not.toEqual([]);
  const change = { op: "append", id: "a", path: "", items: [] };
  expect(await faultsOf("StepRequest", { changes: [change] })).toEqual([]);
  expect(await faultsOf("BatchRequest", { writes: [{ ...change, actor: "me" }] })).toEqual([]);
});

test("the document knows every code", () => {
  const text = JSON.stringify(openapiDocument);
  for (const code of Object.keys(ERROR_STATUS)) expect(text).toContain(`"${code}"`);
});
