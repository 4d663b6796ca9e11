import type { FastifyInstance } from "fastify";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Bench } from "../support/manager.ts";
import { openSomeBench } from "./faces.ts";
import { serverOver } from "./serve.ts";
import type { Answer } from "./serve.ts";

let bench: Bench;
let app: FastifyInstance;

beforeAll(async () => {
  bench = await openSomeBench();
  const manager = bench.openManager();
  app = serverOver(manager, { readState: (id, options) => manager.readState(id, options) });
});
afterAll(async () => {
  await app.close();
  await bench.close();
});

type Headers = Readonly<Record<string, string>>;

const put = (id: string, body: object, headers: Headers = {}) =>
  app.inject({ method: "PUT", url: `/v1/states/${id}`, payload: body, headers });
const patch = (id: string, body: unknown, headers: Headers & { "content-type": string }) =>
  app.inject({ method: "PATCH", url: `/v1/states/${id}`, payload: JSON.stringify(body), headers });
const get = (path: string, headers: Headers = {}) => app.inject({ url: `/v1/${path}`, headers });
const MERGE = { "content-type": "application/merge-patch+json" };
const note = (data: unknown) => ({ type: "note", data });

test("PUT answers 201 for a new state and 200 for the next version, with its ETag", async () => {
  const id = randomUUID();
  const first = await put(id, note({ n: 1 }));
  expect(first.statusCode).toBe(201);
  expect(first.headers.etag).toBe('"1"');
  expect(first.json()).toEqual({
    namespace: "default",
    id,
    type: "note",
    scope: id,
    version: "1",
    step: "1",
    phase: null,
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    updatedAt: expect.stringMatching(/^\d{4}-.*Z$/),
    created: true,
    replayed: false,
  });
  const second = await put(id, note({ n: 2 }));
  expect([second.statusCode, second.headers.etag]).toEqual([200, '"2"']);
});

test("GET answers the state with its document, its ETag, and which copy answered", async () => {
  const id = randomUUID();
  await put(id, {
    ...note({ n: 1 }),
    scope: `${id}-s`,
    actor: "me",
    expiresAt: "2099-01-01T00:00:00Z",
  });
  const strong = await get(`states/${id}?consistency=strong`);
  expect(strong.headers).toMatchObject({ etag: '"1"', "served-by": "main" });
  expect(strong.json()).toMatchObject({
    id,
    type: "note",
    scope: `${id}-s`,
    version: "1",
    data: { n: 1 },
    expiresAt: "2099-01-01T00:00:00.000Z",
  });
  expect((await get(`states/${id}`)).headers["served-by"]).toBe("l1");
  await put(id, note({ n: 2 }));
  const old = await get(`states/${id}?version=1`);
  expect([old.headers.etag, old.json<Answer>().data]).toEqual(['"1"', { n: 1 }]);
});

test("GET with an ETag that is still right answers 304 without a body", async () => {
  const id = randomUUID();
  await put(id, note(1));
  for (const known of ['"1"', 'W/"1"', '"9", "1"', "*"]) {
    const answer = await get(`states/${id}`, { "if-none-match": known });
    expect([answer.statusCode, answer.body, answer.headers.etag]).toEqual([304, "", '"1"']);
  }
  expect((await get(`states/${id}`, { "if-none-match": '"2"' })).statusCode).toBe(200);
});

test("If-Match lets a write through at that version only, and a miss is 412 with the state as it is", async () => {
  const id = randomUUID();
  await put(id, note({ n: 1 }));
  expect((await put(id, note({ n: 2 }), { "if-match": '"1"' })).statusCode).toBe(200);
  expect((await put(id, note({ n: 3 }), { "if-match": 'W/"2"' })).statusCode).toBe(200);
  const late = await put(id, note({ n: 4 }), { "if-match": '"1"' });
  expect(late.statusCode).toBe(412);
  expect(late.headers["content-type"]).toContain("application/problem+json");
  expect(late.json()).toMatchObject({
    type: "urn:agent-runtime:error:PRECONDITION_FAILED",
    title: "Precondition failed",
    status: 412,
    code: "PRECONDITION_FAILED",
    mayHaveHappened: false,
    current: { id, version: "3", data: { n: 3 } },
    diff: [{ op: "replace", path: "/n", value: 4 }],
  });
  expect((await patch(id, {}, { ...MERGE, "if-match": '"1"' })).statusCode).toBe(412);
  const remove = await app.inject({
    method: "DELETE",
    url: `/v1/states/${id}`,
    headers: { "if-match": '"1"' },
  });
  expect(remove.statusCode).toBe(412);
});

test("the same condition in the body is 409", async () => {
  const id = randomUUID();
  await put(id, note(1));
  const late = await put(id, { ...note(2), expectedVersion: "7" });
  expect([late.statusCode, late.json<Answer>().code]).toEqual([409, "VERSION_CONFLICT"]);
  expect((await put(id, { ...note(2), expectedVersion: "1" })).statusCode).toBe(200);
  const both = await put(id, { ...note(2), expectedVersion: "2" }, { "if-match": '"2"' });
  expect([both.statusCode, both.json<Answer>().code]).toEqual([400, "INVALID_REQUEST"]);
});

test("If-None-Match: * only creates, also after a delete", async () => {
  const id = randomUUID();
  const create = () => put(id, note(1), { "if-none-match": "*" });
  expect((await create()).statusCode).toBe(201);
  const again = await create();
  expect([again.statusCode, again.json<Answer>().current.version]).toEqual([412, "1"]);
  await app.inject({ method: "DELETE", url: `/v1/states/${id}` });
  expect([(await create()).statusCode]).toEqual([201]);
  expect((await put(id, note(1), { "if-none-match": '"3"' })).statusCode).toBe(400);
});

test("If-Match: * only updates, whatever the version", async () => {
  const id = randomUUID();
  const update = () => put(id, note(1), { "if-match": "*" });
  expect((await update()).statusCode).toBe(412);
  await put(id, note(0));
  const answers = await Promise.all([update(), update(), update()]);
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200]);
  await app.inject({ method: "DELETE", url: `/v1/states/${id}` });
  expect((await update()).statusCode).toBe(412);
  const keyed = await put(id, note(1), { "if-match": "*", "idempotency-key": id });
  expect([keyed.statusCode, keyed.json<Answer>().field]).toEqual([400, "If-Match"]);
});

test("PATCH takes both kinds of patch, and says so where it is sent another", async () => {
  const id = randomUUID();
  await put(id, note({ a: 1, list: [1] }));
  const merged = await patch(id, { a: null, b: 2 }, MERGE);
  expect([merged.statusCode, merged.headers.etag]).toEqual([200, '"2"']);
  const operations = [{ op: "add", path: "/list/-", value: 2 }];
  await patch(id, operations, { "content-type": "application/json-patch+json; charset=utf-8" });
  expect((await get(`states/${id}`)).json<Answer>().data).toEqual({ b: 2, list: [1, 2] });
  const wrong = await patch(id, {}, { "content-type": "application/json" });
  expect([wrong.statusCode, wrong.json<Answer>().code]).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
  expect(wrong.headers["accept-patch"]).toContain("application/merge-patch+json");
});

test("PATCH and DELETE take in the query what has no place in their bodies", async () => {
  const id = randomUUID();
  await put(id, { type: "task", data: {} });
  const query = "phase=ready&actor=me&cause=it%20is%20time&expectedVersion=1&expectedStep=1";
  const answer = await app.inject({
    method: "PATCH",
    url: `/v1/states/${id}?${query}`,
    payload: "{}",
    headers: MERGE,
  });
  expect(answer.json()).toMatchObject({ version: "2", phase: "ready" });
  await app.inject({ method: "DELETE", url: `/v1/states/${id}?actor=you&idempotencyKey=${id}` });
  const { items } = (await get(`states/${id}/history`)).json<Answer>();
  expect(items).toMatchObject([
    { kind: "delete", actor: "you", idempotencyKey: id },
    { phase: "ready", actor: "me", cause: "it is time" },
    { phase: "submitted" },
  ]);
  expect((await get(`states/${id}`)).statusCode).toBe(410);
});

test("an Idempotency-Key makes a repeat harmless, and a key used otherwise is told", async () => {
  const id = randomUUID();
  const key = { "idempotency-key": randomUUID() };
  const first = await put(id, note(1), key);
  const again = await put(id, note(1), key);
  expect(again.statusCode).toBe(201);
  expect(again.json()).toEqual({ ...first.json(), replayed: true });
  expect((await put(id, note(2), key)).json<Answer>().code).toBe("IDEMPOTENCY_KEY_REUSED");
  const differs = await put(id, { ...note(1), idempotencyKey: "other" }, key);
  expect([differs.statusCode, differs.json<Answer>().field]).toEqual([400, "idempotencyKey"]);
});

test("a Session-Token collects what the session wrote, and garbage is refused", async () => {
  const [a, b] = [randomUUID(), randomUUID()];
  const first = await put(a, note(1));
  const token = String(first.headers["session-token"]);
  const second = await put(b, note(1), { "session-token": token });
  const both = String(second.headers["session-token"]);
  expect(both).toContain(a);
  expect(both).toContain(b);
  expect((await get(`states/${a}`, { "session-token": both })).statusCode).toBe(200);
  const garbage = await get(`states/${a}`, { "session-token": "garbage" });
  expect([garbage.statusCode, garbage.json<Answer>().field]).toEqual([400, "Session-Token"]);
});

test("Agent-Namespace says whose states are meant", async () => {
  const id = randomUUID();
  await put(id, note("theirs"), { "agent-namespace": "tenant-1" });
  expect((await get(`states/${id}`)).statusCode).toBe(404);
  const theirs = await get(`states/${id}`, { "agent-namespace": "tenant-1" });
  expect(theirs.json()).toMatchObject({ namespace: "tenant-1", data: "theirs" });
  const bad = await get(`states/${id}`, { "agent-namespace": "no/slash" });
  expect([bad.statusCode, bad.json<Answer>().code]).toEqual([400, "INVALID_NAMESPACE"]);
});

test("a list comes in pages, a diff in two forms, and a scope as of a step", async () => {
  const prefix = randomUUID();
  for (const n of [1, 2, 3]) await put(`${prefix}-${n}`, { ...note(n), scope: prefix });
  await put(`${prefix}-1`, note({ later: true }));
  const page = (await get(`states?idPrefix=${prefix}&limit=2&type=note`)).json<Answer>();
  expect(page.items.map(({ id }) => id)).toEqual([`${prefix}-1`, `${prefix}-2`]);
  const rest = (await get(`states?idPrefix=${prefix}&limit=2&after=${page.next}`)).json();
  expect(rest).toEqual({ items: [expect.objectContaining({ id: `${prefix}-3` })] });
  const diff = (await get(`states/${prefix}-1/diff?from=1&to=2`)).json<Answer>();
  expect(diff).toMatchObject({ from: "1", to: "2", readable: expect.any(String) });
  expect(diff.patch).toHaveLength(1);
  expect((await get(`scopes/${prefix}`)).json()).toMatchObject({ scope: prefix, step: "4" });
  const before = (await get(`scopes/${prefix}/states?step=3`)).json<Answer>();
  expect(before.items.map(({ data }) => data)).toEqual([1, 2, 3]);
});

test("a step commits all of its changes or none", async () => {
  const scope = randomUUID();
  const step = (body: object) =>
    app.inject({ method: "POST", url: `/v1/scopes/${scope}/steps`, payload: body });
  const changes = [
    { id: `${scope}-a`, type: "note", data: [] },
    { op: "update", id: `${scope}-b`, type: "task", data: {}, phase: "submitted" },
  ];
  const committed = await step({ changes, expectedStep: "0", actor: "planner" });
  expect(committed.statusCode).toBe(200);
  expect(committed.json()).toMatchObject({
    scope,
    step: "1",
    changes: [{ id: `${scope}-a`, type: "note", version: "1" }, { phase: "submitted" }],
  });
  const refused = await step({
    changes: [
      { op: "append", id: `${scope}-a`, path: "", items: [1] },
      { op: "merge", id: `${scope}-b`, patch: {}, phase: "completed" },
    ],
  });
  expect([refused.statusCode, refused.json<Answer>().code]).toEqual([422, "ILLEGAL_TRANSITION"]);
  expect((await get(`scopes/${scope}`)).json<Answer>().step).toBe("1");
});

test("an id is any printable text, percent-encoded, and a colon in it is no method", async () => {
  for (const id of [
    `${randomUUID()}:batch`,
    `${randomUUID()} 😀é%2F?#`,
    "x".repeat(180) + randomUUID().slice(0, 20),
  ]) {
    const answer = await put(encodeURIComponent(id), note(1));
    expect([answer.statusCode, answer.json<Answer>().id]).toEqual([201, id]);
  }
  const longest = "😀".repeat(200);
  expect((await put(encodeURIComponent(longest), note(1))).statusCode).toBeLessThan(300);
});
