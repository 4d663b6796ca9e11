import type { Readiness } from "../../src/server/options.ts";
import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import { faceThat, stateLike } from "./faces.ts";
import { serve, serverOver } from "./serve.ts";
import type { Answer } from "./serve.ts";
import { until } from "../support/until.ts";

const face = faceThat({ getState: async () => stateLike() });

test("/healthz answers while the process lives; /readyz follows its parts", async () => {
  let readiness: Readiness = { ready: false, main: "starting" };
  const app = serverOver(face, { ready: () => readiness });
  expect((await app.inject("/healthz")).json()).toEqual({ status: "ok" });
  const before = await app.inject("/readyz");
  expect([before.statusCode, before.headers["retry-after"]]).toEqual([503, "1"]);
  expect(before.json()).toEqual(readiness);
  readiness = { ready: true };
  expect((await app.inject("/readyz")).statusCode).toBe(200);
});

test("/readyz needs no token, so its parts are asked once, however many want to know", async () => {
  const asked: ((readiness: Readiness) => void)[] = [];
  const ready = (): Promise<Readiness> => new Promise((resolve) => void asked.push(resolve));
  const app = serverOver(face, { ready });
  const answers = Promise.all(Array.from({ length: 20 }, () => app.inject("/readyz")));
  await until(() => asked.length > 0);
  for (let turn = 0; turn < 20; turn++) await nextTurn(); // the others are on their way
  for (const answer of asked) answer({ ready: true });
  expect((await answers).map(({ statusCode }) => statusCode)).toEqual(Array(20).fill(200));
  expect(asked).toHaveLength(1);
  const later = app.inject("/readyz");
  await until(() => asked.length === 2);
  asked[1]!({ ready: false });
  expect((await later).statusCode).toBe(503);
});

test("/v1/info and /metrics tell what they are given", async () => {
  const app = serverOver(face, { info: () => ({ parts: { main: { health: "ok" } } }) });
  expect((await app.inject("/v1/info")).json()).toEqual({ parts: { main: { health: "ok" } } });
  const metrics = await app.inject("/metrics");
  expect(metrics.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(metrics.body).toBe("up 1\n");
});

test("/ is the dashboard: a page and its files, that load nothing from elsewhere and run nothing inline", async () => {
  const app = serverOver(face);
  const page = await app.inject("/");
  expect(page.headers["content-type"]).toBe("text/html; charset=utf-8");
  const policy = String(page.headers["content-security-policy"]).split("; ");
  expect(policy).toEqual(expect.arrayContaining(["default-src 'none'", "script-src 'self'"]));
  expect(policy.join()).not.toMatch(/unsafe|\*|https?:/);
  expect(page.headers["x-content-type-options"]).toBe("nosniff");
  const files = [...page.body.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map(([, file]) => file!);
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) {
    const answer = await app.inject(file);
    expect([file, answer.statusCode]).toEqual([file, 200]);
    const headers = { "if-none-match": answer.headers.etag! };
    expect((await app.inject({ url: file, headers })).statusCode).toBe(304);
  }
  expect(page.body).not.toMatch(/<script>|style=|onclick|https?:\/\//);
});

test.each(["nothing.mjs", "..%2Fpackage.json", "%2e%2e%2fpackage.json", "constructor", "a/b.mjs"])(
  "the dashboard has no file %s",
  async (file) => {
    const answer = await serverOver(face).inject(`/dashboard/${file}`);
    expect([answer.statusCode, answer.json<Answer>().code]).toEqual([404, "ROUTE_NOT_FOUND"]);
  },
);

test("a path that does not exist is a problem, not a page", async () => {
  const answer = await serverOver(face).inject("/v2/states/a?x=1");
  expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
  expect(answer.json()).toMatchObject({ status: 404, code: "ROUTE_NOT_FOUND" });
  for (const url of ["/v1/lifecycle/pods", "/v1/scopes/a/rewind"]) {
    expect((await serverOver(face).inject({ method: "POST", url })).statusCode).toBe(404);
  }
});

test.each([
  ["POST", "/v1/states/a", "DELETE, GET, HEAD, PATCH, PUT"],
  ["GET", "/v1/states:batch", undefined],
  ["DELETE", "/v1/states", "GET, HEAD"],
  ["HEAD", "/v1/watch", "GET"],
  ["PUT", "/healthz", "GET, HEAD"],
] as const)("%s %s is answered with the methods there are", async (method, url, allow) => {
  const answer = await serverOver(face).inject({ method, url });
  expect(answer.statusCode).toBe(405);
  if (allow !== undefined) expect(answer.headers.allow).toBe(allow);
});

test("every answer has a request id, the caller's where it is fit", async () => {
  const app = serverOver(face);
  const id = async (headers = {}) =>
    (await app.inject({ url: "/healthz", headers })).headers["x-request-id"];
  expect(await id({ "x-request-id": "trace-1" })).toBe("trace-1");
  expect(await id({ "x-request-id": "a b" })).toMatch(/^[\w-]+$/);
  expect(await id()).not.toBe(await id());
});

test("what nobody expected is told to the log, not to the caller", async () => {
  const logged: object[] = [];
  const note = (fields: object) => void logged.push(fields);
  const app = serverOver(
    faceThat({
      getState: async () => {
        throw new TypeError("secret of the inside");
      },
    }),
    { log: { debug: note, info: note, warn: note, error: note } },
  );
  const answer = await app.inject({ url: "/v1/states/a", headers: { "x-request-id": "r1" } });
  expect([answer.statusCode, answer.json<Answer>().code]).toEqual([500, "INTERNAL"]);
  expect(answer.body).not.toContain("secret");
  expect(answer.body).toContain("r1");
  expect(logged.at(-1)).toMatchObject({ requestId: "r1", error: expect.any(TypeError) });
});

test("an overload says when to come again, and whether the write may have happened", async () => {
  const app = serverOver(
    faceThat({
      updateState: async () => {
        throw new AgentRuntimeError("UNAVAILABLE", "the queue is full", {
          mayHaveHappened: false,
          retryAfterMs: 1_200,
        });
      },
    }),
  );
  const answer = await app.inject({
    method: "PUT",
    url: "/v1/states/a",
    payload: { type: "x", data: 1 },
  });
  expect([answer.statusCode, answer.headers["retry-after"]]).toEqual([503, "2"]);
  expect(answer.json()).toMatchObject({ code: "UNAVAILABLE", mayHaveHappened: false });
});

test("each answer is told to whoever observes, by route and status", async () => {
  const seen: [string, string, number][] = [];
  const app = serverOver(face, { observe: (...answer) => void seen.push(answer) });
  await app.inject("/v1/states/some-id");
  await app.inject("/nothing");
  expect(seen).toEqual([
    ["GET /v1/states/:id", "200", expect.any(Number)],
    ["GET (unknown)", "404", expect.any(Number)],
  ]);
});

test.each([
  ["headers that are too long", `GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, 431],
  ["what is not HTTP", "hello\r\n\r\n", 400],
])("%s are answered with a problem, and the connection ends", async (_what, text, status) => {
  const served = await serve(face);
  const socket = connect(Number(new URL(served.url).port), "127.0.0.1");
  socket.write(text);
  let answer = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk));
  await once(socket, "close");
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(answer).toContain("application/problem+json");
  await served.close();
});

test("an address that is taken is told with what to do", async () => {
  const served = await serve(face);
  const { HttpService } = await import("../../src/server/listen.ts");
  const port = Number(new URL(served.url).port);
  const second = new HttpService(serverOver(face), { host: "127.0.0.1", port });
  await expect(second.start()).rejects.toMatchObject({ code: "INVALID_CONFIG" });
  await served.close();
});
