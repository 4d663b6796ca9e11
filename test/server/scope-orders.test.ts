import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Bench } from "../support/manager.ts";
import { openSomeBench } from "./faces.ts";
import { serverOver } from "./serve.ts";
import type { Answer } from "./serve.ts";

let bench: Bench;
let manager: StateManager;
let app: FastifyInstance;

beforeAll(async () => {
  bench = await openSomeBench();
  manager = bench.openManager();
  app = serverOver(manager);
});
afterAll(async () => {
  await app.close();
  await bench.close();
});

/** A scope with one state that was written three times. */
async function threeSteps(): Promise<string> {
  const scope = randomUUID();
  for (const n of [1, 2, 3]) await manager.updateState(scope, "note", { n });
  return scope;
}

async function post(
  scope: string,
  order: string,
  payload?: object | string,
  headers: Record<string, string> = { "content-type": "application/json" },
): Promise<LightMyRequestResponse> {
  const url = `/v1/scopes/${scope}/${order}`;
  return payload === undefined
    ? await app.inject({ method: "POST", url })
    : await app.inject({ method: "POST", url, payload, headers });
}

test("a rollback answers what it did; without a body it goes one step back", async () => {
  const scope = await threeSteps();
  const answer = await post(scope, "rollback");
  expect(answer.statusCode).toBe(200);
  const state = { id: scope, type: "note", action: "restore", version: "3", newVersion: "4" };
  expect(answer.json()).toEqual({
    namespace: "default",
    scope,
    dryRun: false,
    step: "4",
    restoredStep: "2",
    undoneStep: "3",
    source: "history",
    quarantined: ["3"],
    states: [{ ...state, targetVersion: "2", phase: null }],
    fenced: [],
    effects: [],
    replayed: false,
  });
  expect((await app.inject(`/v1/scopes/${scope}`)).json()).toMatchObject({
    step: "4",
    quarantined: ["3"],
    rollbackStep: null,
  });
});

test("a dry run changes nothing, and says what would be done", async () => {
  const scope = await threeSteps();
  const plan = (await post(scope, "rollback", { toStep: "1", dryRun: true })).json<Answer>();
  expect(plan).toMatchObject({ dryRun: true, step: "4", quarantined: ["2", "3"] });
  const done = (await post(scope, "rollback", { toStep: "1", expectedStep: "3" })).json<Answer>();
  expect(done).toEqual({ ...plan, dryRun: false });
});

test("the session's next read is of what the rollback wrote", async () => {
  const scope = await threeSteps();
  const answer = await post(scope, "rollback", {});
  const session = String(answer.headers["session-token"]);
  expect(session).toContain(`${scope}@4`);
  const read = await app.inject({
    url: `/v1/states/${scope}`,
    headers: { "session-token": session },
  });
  expect(read.json<Answer>().data).toEqual({ n: 2 });
  const plan = await post(scope, "rollback", { dryRun: true });
  expect(String(plan.headers["session-token"])).not.toContain(scope);
});

test("and of the task that goes on for one that ended", async () => {
  const [stack, id, worker] = [randomUUID(), randomUUID(), randomUUID()];
  const order = async (url: string, payload: object): Promise<Answer> => {
    const answer = await app.inject({ method: "POST", url, payload });
    expect(answer.statusCode, answer.body).toBeLessThan(300);
    return answer.json<Answer>();
  };
  await order(`/v1/stacks/${stack}/tasks`, { id, input: {} });
  const claim = { worker, incarnation: "1", stacks: [stack], limit: 1 };
  const { tasks } = await order("/v1/tasks:claim", claim);
  const { epoch } = (tasks as { readonly epoch: string }[])[0]!;
  await order(`/v1/tasks/${id}/complete`, { epoch, result: 1 });
  const answer = await post(stack, "rollback", { toStep: "1" });
  expect(String(answer.headers["session-token"])).toContain(`${id}~`);
});

test("with its key, in header or body, a rollback is done once", async () => {
  const scope = await threeSteps();
  const headers = { "content-type": "application/json", "idempotency-key": `${scope}-key` };
  const first = (await post(scope, "rollback", {}, headers)).json<Answer>();
  const again = await post(scope, "rollback", { idempotencyKey: `${scope}-key` });
  expect(again.json()).toEqual({ ...first, replayed: true });
  const other = await post(scope, "rollback", { toStep: "1" }, headers);
  expect([other.statusCode, other.json<Answer>().code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
});

test("a refusal is a problem with the plan", async () => {
  const scope = await threeSteps();
  const moved = await post(scope, "rollback", { expectedStep: "2" });
  expect(moved.statusCode).toBe(409);
  expect(moved.headers["content-type"]).toContain("application/problem+json");
  expect(moved.json()).toMatchObject({
    code: "STEP_CONFLICT",
    mayHaveHappened: false,
    plan: { scope, undoneStep: "3", restoredStep: "2", states: [{ id: scope }] },
  });
});

test("hold and release answer where the scope stands, as often as they are asked", async () => {
  const scope = await threeSteps();
  const put = () =>
    app.inject({ method: "PUT", url: `/v1/states/${scope}`, payload: { type: "note", data: 1 } });
  for (let time = 0; time < 2; time++) {
    const held = await post(scope, "hold", { reason: "looks wrong", actor: "ann" });
    expect([held.statusCode, held.json<Answer>()["hold"]]).toEqual([200, true]);
  }
  expect([(await put()).statusCode]).toEqual([423]);
  for (let time = 0; time < 2; time++) {
    expect((await post(scope, "release")).json()).toMatchObject({ scope, hold: false, step: "3" });
  }
  expect((await put()).statusCode).toBe(200);
});

test.each(["rollback", "hold", "release"])("%s of no scope is not found", async (order) => {
  const answer = await post(randomUUID(), order, {});
  expect([answer.statusCode, answer.json<Answer>().code]).toEqual([404, "SCOPE_NOT_FOUND"]);
});

test("a step beyond all steps is not found", async () => {
  const scope = await threeSteps();
  const answer = await post(scope, "rollback", { toStep: `${2n ** 63n - 1n}` });
  expect([answer.statusCode, answer.json<Answer>().code]).toEqual([404, "STEP_NOT_FOUND"]);
});

test.each<[string, object | string, string, string]>([
  ["rollback", { toStep: 1 }, "INVALID_STEP", ""],
  ["rollback", { toStep: "-1" }, "INVALID_STEP", ""],
  ["rollback", { to: "1" }, "UNKNOWN_FIELD", "to"],
  ["rollback", { expectedStep: null }, "INVALID_STEP", ""],
  ["rollback", { dryRun: "yes" }, "INVALID_REQUEST", "dryRun"],
  ["rollback", { source: "backup" }, "INVALID_REQUEST", "source"],
  ["rollback", { source: "rollback" }, "INVALID_REQUEST", "source"],
  ["rollback", { reason: 7 }, "INVALID_REQUEST", "reason"],
  ["rollback", { reason: "" }, "INVALID_REQUEST", ""],
  ["rollback", { idempotencyKey: 1 }, "INVALID_REQUEST", "idempotencyKey"],
  ["rollback", [], "INVALID_REQUEST", ""],
  ["rollback", "{", "INVALID_JSON", ""],
  ["hold", { toStep: "1" }, "UNKNOWN_FIELD", "toStep"],
  ["hold", { actor: "" }, "INVALID_REQUEST", ""],
  ["release", { reason: false }, "INVALID_REQUEST", "reason"],
])("%s with %j is refused as %s, and changes nothing", async (order, body, code, field) => {
  const scope = await threeSteps();
  const answer = await post(scope, order, body);
  expect([answer.statusCode, answer.json<Answer>().code]).toEqual([400, code]);
  if (field !== "") expect(answer.json<Answer>().field).toBe(field);
  expect(await manager.scope(scope)).toMatchObject({ step: 3n, hold: false, quarantined: [] });
});

test("an order takes JSON, no query, and POST", async () => {
  const scope = await threeSteps();
  const text = await post(scope, "rollback", "x", { "content-type": "text/plain" });
  expect(text.statusCode).toBe(415);
  expect((await post(scope, "rollback?dryRun=true", {})).json<Answer>().code).toBe("UNKNOWN_FIELD");
  const get = await app.inject(`/v1/scopes/${scope}/hold`);
  expect([get.statusCode, get.headers.allow]).toEqual([405, "POST"]);
  expect((await manager.scope(scope)).step).toBe(3n);
});
