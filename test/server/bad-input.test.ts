import type { FastifyInstance, InjectOptions } from "fastify";
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
  app = serverOver(bench.openManager(), { limits: { bodyBytes: 3 * 1024 * 1024 } });
});
afterAll(async () => {
  await app.close();
  await bench.close();
});

const JSON_TYPE = { "content-type": "application/json" };
const MERGE_TYPE = { "content-type": "application/merge-patch+json" };
const MIB = 1024 * 1024;

type Row = readonly [what: string, status: number, code: string, request: InjectOptions];

const put = (body: string | Buffer, headers: object = JSON_TYPE): InjectOptions => ({
  method: "PUT",
  payload: body,
  headers: { ...headers },
});
const merge = (body: string, query = ""): InjectOptions => ({
  method: "PATCH",
  query,
  payload: body,
  headers: MERGE_TYPE,
});
const data = (text: string) => put(`{"type":"task","data":${text}}`);
const field = (text: string) => put(`{"type":"task","data":1,${text}}`);

const bodies: readonly Row[] = [
  ["no body", 400, "INVALID_JSON", put("")],
  ["a body that is not JSON", 400, "INVALID_JSON", put("{'a':1}")],
  ["JSON that is cut off", 400, "INVALID_JSON", put('{"type":"task","data":{')],
  ["something after the JSON", 400, "INVALID_JSON", put('{"type":"task","data":1} x')],
  ["a body that is not UTF-8", 400, "INVALID_JSON", put(Buffer.from([0x22, 0xff, 0x22]))],
  ["a body that is an array", 400, "INVALID_REQUEST", put("[1]")],
  ["a body that is null", 400, "INVALID_REQUEST", put("null")],
  ["a field given twice", 400, "INVALID_JSON", field('"type":"task"')],
  ["no type", 400, "INVALID_TYPE", put('{"data":1}')],
  ["no data", 400, "INVALID_DATA", put('{"type":"task"}')],
  ["a type that is a number", 400, "INVALID_TYPE", put('{"type":7,"data":1}')],
  ["another type", 400, "INVALID_TYPE", put('{"type":"agent","data":1}')],
  ["a NUL", 400, "INVALID_DATA", data('"a\\u0000b"')],
  ["half a surrogate pair", 400, "INVALID_DATA", data('"\\ud800"')],
  ["a __proto__ key", 400, "INVALID_DATA", data('{"__proto__":{"x":1}}')],
  ["a number beyond 2^53", 400, "INVALID_DATA", data("9007199254740993")],
  ["a number beyond all", 400, "INVALID_DATA", data("1e999")],
  ["NaN", 400, "INVALID_JSON", data("NaN")],
  ["65 levels", 400, "INVALID_DATA", data("[".repeat(65) + "]".repeat(65))],
  ["100,000 levels", 400, "INVALID_DATA", data("[".repeat(100_000) + "]".repeat(100_000))],
  ["1 MiB and a byte", 413, "PAYLOAD_TOO_LARGE", data(`"${"x".repeat(MIB - 1)}"`)],
  ["a body beyond the limit", 413, "PAYLOAD_TOO_LARGE", data(`"${"x".repeat(3 * MIB)}"`)],
];

const fields: readonly Row[] = [
  ["an unknown field", 400, "UNKNOWN_FIELD", field('"color":1')],
  ["an unknown parameter", 400, "UNKNOWN_FIELD", merge("{}", "colour=red")],
  ["a scope that is null", 400, "INVALID_SCOPE", field('"scope":null')],
  ["another scope", 400, "INVALID_SCOPE", field('"scope":"elsewhere"')],
  ["a phase that is a list", 400, "INVALID_PHASE", field('"phase":[]')],
  ["an unknown phase", 400, "INVALID_PHASE", field('"phase":"done"')],
  ["an illegal move", 422, "ILLEGAL_TRANSITION", field('"phase":"completed"')],
  ["a version that is a word", 400, "INVALID_VERSION", field('"expectedVersion":"latest"')],
  ["a version that is a number", 400, "INVALID_VERSION", field('"expectedVersion":1')],
  ["a version below zero", 400, "INVALID_VERSION", field('"expectedVersion":"-1"')],
  [
    "a version beyond 64 bits",
    400,
    "INVALID_VERSION",
    field('"expectedVersion":"9223372036854775808"'),
  ],
  ["a step that is a word", 400, "INVALID_STEP", field('"expectedStep":"x"')],
  ["an actor that is a number", 400, "INVALID_REQUEST", field('"actor":1')],
  ["an empty cause", 400, "INVALID_REQUEST", field('"cause":""')],
  ["a time that is a date", 400, "INVALID_REQUEST", field('"expiresAt":"2030-01-31"')],
  ["a time that is a number", 400, "INVALID_REQUEST", field('"expiresAt":1893456000')],
  ["the 32nd of a month", 400, "INVALID_REQUEST", field('"expiresAt":"2030-01-32T00:00:00Z"')],
  ["a parameter that comes twice", 400, "INVALID_REQUEST", merge("{}", "actor=a&actor=b")],
  ["a parameter on a PUT", 400, "UNKNOWN_FIELD", { ...data("1"), query: "actor=a" }],
  ["a DELETE with a body", 400, "INVALID_REQUEST", { ...data("1"), method: "DELETE" }],
];

const headers: readonly Row[] = [
  ["no media type", 415, "UNSUPPORTED_MEDIA_TYPE", put('{"type":"task","data":1}', {})],
  [
    "a form",
    415,
    "UNSUPPORTED_MEDIA_TYPE",
    put("a=1", { "content-type": "application/x-www-form-urlencoded" }),
  ],
  [
    "text",
    415,
    "UNSUPPORTED_MEDIA_TYPE",
    put('{"type":"task","data":1}', { "content-type": "text/plain" }),
  ],
  [
    "another character set",
    415,
    "UNSUPPORTED_MEDIA_TYPE",
    put('{"type":"task","data":1}', { "content-type": "application/json; charset=latin1" }),
  ],
  [
    "a compressed body",
    415,
    "UNSUPPORTED_MEDIA_TYPE",
    put('{"type":"task","data":1}', { ...JSON_TYPE, "content-encoding": "gzip" }),
  ],
  [
    "an If-Match that is a word",
    400,
    "INVALID_VERSION",
    put('{"type":"task","data":1}', { ...JSON_TYPE, "if-match": '"new"' }),
  ],
  [
    "two ETags in If-Match",
    400,
    "INVALID_VERSION",
    put('{"type":"task","data":1}', { ...JSON_TYPE, "if-match": '"1", "2"' }),
  ],
  [
    "both conditions",
    400,
    "INVALID_REQUEST",
    put('{"type":"task","data":1}', { ...JSON_TYPE, "if-match": '"1"', "if-none-match": "*" }),
  ],
  [
    "an idempotency key too long",
    400,
    "INVALID_REQUEST",
    put('{"type":"task","data":1}', { ...JSON_TYPE, "idempotency-key": "x".repeat(201) }),
  ],
  ["a merge patch cut off", 400, "INVALID_JSON", merge('{"a":')],
  [
    "a JSON Patch that is an object",
    400,
    "INVALID_PATCH",
    { method: "PATCH", payload: "{}", headers: { "content-type": "application/json-patch+json" } },
  ],
];

test.each([...bodies, ...fields, ...headers])(
  "%s is refused with %i %s and changes nothing",
  async (_what, status, code, request) => {
    const url = `/v1/states/${randomUUID()}`;
    const created = await app.inject({
      method: "PUT",
      url,
      payload: { type: "task", data: { n: 1 } },
    });
    expect(created.statusCode).toBe(201);
    const answer = await app.inject({ ...request, url });
    expect([answer.statusCode, answer.json<Answer>().code]).toEqual([status, code]);
    expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(answer.json()).toMatchObject({
      status,
      type: `urn:agent-runtime:error:${code}`,
      detail: expect.any(String),
    });
    const { id, version, digest, scope } = (
      await app.inject({ url: `${url}?consistency=strong` })
    ).json<Answer>();
    expect({ id, version, digest }).toEqual({
      id,
      version: "1",
      digest: created.json<Answer>().digest,
    });
    expect((await app.inject({ url: `/v1/scopes/${scope}` })).json<Answer>().step).toBe("1");
  },
);

test.each([
  ["/v1/states/a/history?befor=1", "befor", "before"],
  ["/v1/states?id_prefix=a", "id_prefix", "idPrefix"],
  ["/v1/states/a?versoin=1", "versoin", "version"],
  ["/v1/watch?afetr=0", "afetr", "after"],
  ["/v1/scopes/a/states?steps=1", "steps", "step"],
])("%s names the unknown parameter and the nearest known one", async (url, name, nearest) => {
  const answer = await app.inject({ url });
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: "UNKNOWN_FIELD", field: name, nearest });
});

test.each([
  ["a page of nothing", "/v1/states?limit=0", "INVALID_LIMIT"],
  ["a page too large", "/v1/states?limit=1001", "INVALID_LIMIT"],
  ["a limit that is a word", "/v1/states?limit=ten", "INVALID_LIMIT"],
  ["a version that is a word", "/v1/states/a?version=x", "INVALID_VERSION"],
  ["a consistency that is none", "/v1/states/a?consistency=some", "INVALID_REQUEST"],
  ["bytes that are not UTF-8", "/v1/states/%ff", "INVALID_REQUEST"],
  ["a query that is not UTF-8", "/v1/states?idPrefix=%ff", "INVALID_REQUEST"],
  ["NUL", "/v1/states/%00", "INVALID_ID"],
  ["NUL in a prefix", "/v1/states?idPrefix=a%00", "INVALID_ID"],
  ["NUL in a cursor", "/v1/states?after=%00", "INVALID_CURSOR"],
  ["a watch of what no state can be called", "/v1/watch?id=a%2Fb", "INVALID_ID"],
  ["a watch of no scope", "/v1/watch?scope=", "INVALID_SCOPE"],
  [
    "a cursor beyond all positions",
    `/v1/watch?after=1400a2f0-1-1-${"z".repeat(16)}-1`,
    "INVALID_CURSOR",
  ],
  ["an escaped slash", "/v1/states/a%2Fb", "INVALID_ID"],
  ["an empty id", "/v1/states/", "INVALID_ID"],
  ["201 characters", `/v1/states/${"x".repeat(201)}`, "INVALID_ID"],
  ["10,000 characters", `/v1/states/${"x".repeat(10_000)}`, "INVALID_ID"],
  ["a scope of white space", "/v1/scopes/%20", "INVALID_SCOPE"],
])("%s in a URL is refused", async (_what, url, code) => {
  const answer = await app.inject({ url });
  expect([answer.statusCode, answer.json<Answer>().code]).toEqual([400, code]);
});
