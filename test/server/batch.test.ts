import type { FastifyInstance } from "fastify";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isCut, parseSessionToken } from "../../src/state/session-token.ts";
import type { Bench } from "../support/manager.ts";
import { openSomeBench } from "./faces.ts";
import { serverOver } from "./serve.ts";
import type { Answer } from "./serve.ts";

let bench: Bench;
let app: FastifyInstance;

beforeAll(async () => {
  bench = await openSomeBench();
  app = serverOver(bench.openManager());
});
afterAll(async () => {
  await app.close();
  await bench.close();
});

const post = (payload: object, headers = {}) =>
  app.inject({ method: "POST", url: "/v1/states:batch", payload, headers });

test("each write of a batch has an answer and a status of its own", async () => {
  const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
  await post({ writes: [b, c].map((id) => ({ id, type: "task", data: { n: 1 } })) });
  const answer = await post({
    writes: [
      { id: a, type: "note", data: 1, actor: "me", expectedVersion: "0" },
      { op: "merge", id: b, patch: { n: 2 }, ifMatch: '"1"' },
      { op: "merge", id: b, patch: {}, ifMatch: "7" },
      { id: a, tpye: "note", data: 1 },
      { id: randomUUID(), type: "note" },
      "not an object",
      { op: "delete", id: randomUUID() },
      { scope: c, changes: [{ op: "merge", id: c, patch: {}, phase: "ready" }] },
    ],
  });
  expect(answer.statusCode).toBe(200);
  expect(answer.json<Answer>().items).toMatchObject([
    { status: 201, id: a, type: "note", version: "1", created: true },
    { status: 200, id: b, version: "2" },
    { status: 409, code: "VERSION_CONFLICT", current: { id: b } },
    { status: 400, code: "UNKNOWN_FIELD", field: "tpye", nearest: "type" },
    { status: 400, code: "INVALID_DATA" },
    { status: 400, code: "INVALID_REQUEST" },
    { status: 404, code: "STATE_NOT_FOUND" },
    { status: 200, scope: c, step: "2", changes: [{ id: c, phase: "ready" }] },
  ]);
  expect(answer.headers["session-token"]).toContain(a);
});

test("the session of an answer with more states than a token names says that there were more", async () => {
  const writes = (count: number): object[] =>
    Array.from({ length: count }, () => ({ id: randomUUID(), type: "note", data: 1 }));
  const isCutAfter = async (count: number): Promise<boolean> => {
    const answer = await post({ writes: writes(count) });
    return isCut(parseSessionToken(String(answer.headers["session-token"])));
  };
  expect(await isCutAfter(50)).toBe(false);
  expect(await isCutAfter(51)).toBe(true);
  const twice = [...writes(50), ...Array<object>(60).fill(writes(1)[0]!)];
  const answer = await post({ writes: twice });
  expect(isCut(parseSessionToken(String(answer.headers["session-token"])))).toBe(true);
});

test("an answer carries the states of conflicts up to 8 MiB", async () => {
  const ids = Array.from({ length: 20 }, () => randomUUID());
  const data = "x".repeat(1_000_000);
  for (const id of ids) await post({ writes: [{ id, type: "note", data }] });
  const answer = await post({ writes: ids.map((id) => ({ op: "delete", id, ifMatch: "7" })) });
  const { items } = answer.json<{ items: { code: string; current?: { data: unknown } }[] }>();
  expect(new Set(items.map(({ code }) => code))).toEqual(new Set(["VERSION_CONFLICT"]));
  expect(items.filter(({ current }) => current?.data === data)).toHaveLength(9);
  expect(answer.body.length).toBeLessThan(9_100_000);
});

test("a batch may be called items, but not both", async () => {
  const write = { id: randomUUID(), type: "note", data: 1 };
  expect((await post({ items: [write] })).json<Answer>().items).toMatchObject([{ status: 201 }]);
  expect((await post({ items: [write], writes: [write] })).statusCode).toBe(400);
  expect((await post({ writes: [] })).json()).toEqual({ items: [] });
});

test("a write of a batch that is repeated with its key is answered, not done", async () => {
  const write = { id: randomUUID(), type: "note", data: 1, idempotencyKey: randomUUID() };
  await post({ writes: [write] });
  const [again] = (await post({ writes: [write] })).json<Answer>().items;
  expect(again).toMatchObject({ status: 201, version: "1", replayed: true });
  const whole = await post({ writes: [write] }, { "idempotency-key": "k" });
  expect([whole.statusCode, whole.json<Answer>().field]).toEqual([400, "Idempotency-Key"]);
});

test("10,000 writes in one batch are refused, and none is done", async () => {
  const prefix = randomUUID();
  const writes = Array.from({ length: 10_000 }, (_, n) => ({
    id: `${prefix}-${n}`,
    type: "note",
    data: n,
  }));
  const answer = await post({ writes });
  expect([answer.statusCode, answer.json<Answer>().code]).toEqual([413, "PAYLOAD_TOO_LARGE"]);
  const { items } = (await app.inject({ url: `/v1/states?idPrefix=${prefix}` })).json<Answer>();
  expect(items).toEqual([]);
});

test.each([
  ["no writes", {}],
  ["writes that are no list", { writes: {} }],
  ["an unknown field beside them", { writes: [], atomic: true }],
  ["a list in place of the body", []],
])("a batch with %s is refused", async (_what, body) => {
  expect((await post(body)).statusCode).toBe(400);
});

test("a step with more changes than the limit is refused before it is looked at", async () => {
  const changes = Array.from({ length: 1_001 }, () => ({}));
  const answer = await app.inject({
    method: "POST",
    url: "/v1/scopes/a/steps",
    payload: { changes },
  });
  expect([answer.statusCode, answer.json<Answer>().field]).toEqual([413, "changes"]);
});

test("a change of a step names what it does not know, and where", async () => {
  const answer = await app.inject({
    method: "POST",
    url: "/v1/scopes/a/steps",
    payload: {
      changes: [
        { op: "merge", id: "a", patch: {} },
        { op: "append", id: "a", data: 1 },
      ],
    },
  });
  expect(answer.json()).toMatchObject({ code: "UNKNOWN_FIELD", field: "data" });
  expect(answer.json<Answer>().detail).toContain("changes/1");
});
