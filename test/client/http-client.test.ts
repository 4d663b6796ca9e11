import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import type { HttpStateClientOptions } from "../../src/client/http-client.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { StateFace } from "../../src/state/face.ts";
import type { ReadOptions } from "../../src/state/request.ts";
import { deferred, faceThat, stateLike, writtenLike } from "../server/faces.ts";
import { serve } from "../server/serve.ts";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

function clientOf(url: string, options: Partial<HttpStateClientOptions> = {}): HttpStateClient {
  const client = HttpStateClient.open({ url, ...options });
  open.push(() => client.close());
  return client;
}

/** A client of a service over this face. */
async function clientOver(
  face: Partial<StateFace>,
  options: Partial<HttpStateClientOptions> = {},
): Promise<HttpStateClient> {
  const served = await serve(faceThat(face));
  open.push(() => served.close());
  return clientOf(served.url, options);
}

/** The address of something that answers HTTP in its own way. */
async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const write = (client: StateFace) => client.updateState("a", "note", 1);

test("a service that is not there: nothing has happened", async () => {
  const url = await answering(() => undefined);
  await open.pop()!();
  await expect(write(clientOf(url))).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: false },
  });
  await expect(write(clientOf("http://no-such-host.invalid"))).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: false },
  });
});

test("a traceparent that is none is left out, as it is in the library", async () => {
  const client = await clientOver({ updateState: async () => writtenLike() });
  const traceparent = "\u202Enone";
  await expect(client.updateState("a", "note", 1, { traceparent })).resolves.toBeDefined();
});

test("a connection that breaks after the request was sent: it may have happened", async () => {
  const url = await answering((request) => void request.on("data", () => request.socket.destroy()));
  await expect(write(clientOf(url))).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: true },
  });
});

test("an answer that is cut off in its middle: it may have happened", async () => {
  const url = await answering((_request, response) => {
    response.writeHead(200, { "content-length": "1000" });
    response.write("{");
    setTimeout(() => response.destroy(), 10);
  });
  await expect(write(clientOf(url))).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: true },
  });
});

test("no answer in time: a write may have happened, of a read nothing is said", async () => {
  const client = clientOf(await answering(() => undefined), { timeoutMs: 30 });
  await expect(write(client)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: true },
  });
  const read = client.getState("a", { timeoutMs: 10 });
  await expect(read).rejects.toMatchObject({ code: "UNAVAILABLE", facts: {} });
});

test("a call that is taken back says whether it had been sent", async () => {
  const begun = deferred();
  const url = await answering(() => begun.resolve());
  const client = clientOf(url);
  const left = new AbortController();
  const late = client.updateState("a", "note", 1, { signal: left.signal });
  void begun.promise.then(() => left.abort());
  await expect(late).rejects.toMatchObject({ code: "CANCELED", facts: { mayHaveHappened: true } });
  const early = client.updateState("a", "note", 1, { signal: AbortSignal.abort() });
  await expect(early).rejects.toMatchObject({
    code: "CANCELED",
    facts: { mayHaveHappened: false },
  });
});

test("a proxy's own answers keep their meaning, and a write behind them may have happened", async () => {
  const url = await answering((request, response) => {
    request.resume();
    response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad Gateway</h1>");
  });
  const client = clientOf(url);
  await expect(write(client)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: true },
  });
  await expect(client.getState("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("something else than the service behind the url is told", async () => {
  const url = await answering((_request, response) => void response.end("<html>"));
  await expect(clientOf(url).getState("a")).rejects.toMatchObject({ code: "INTERNAL" });
  const other = await answering((_request, response) => void response.end('{"id":1}'));
  await expect(clientOf(other).getState("a")).rejects.toMatchObject({ code: "INTERNAL" });
  for (const bad of ["", "localhost:8080", "ftp://x"]) {
    expect(() => HttpStateClient.open({ url: bad })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG" }),
    );
  }
});

test("a problem comes out as the error that went in", async () => {
  const facts = {
    mayHaveHappened: false,
    retryAfterMs: 3_000,
    current: { version: "7", data: { n: 1 } },
    diff: [{ op: "remove", path: "/n" }],
    field: "f",
    nearest: "g",
  };
  const client = await clientOver({
    updateState: async () => {
      throw new AgentRuntimeError("VERSION_CONFLICT", "it is at 7", facts);
    },
  });
  const error = await write(client).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(AgentRuntimeError);
  expect(error).toMatchObject({ code: "VERSION_CONFLICT", message: "it is at 7", status: 409 });
  expect((error as AgentRuntimeError).facts).toEqual(facts);
});

test("a code of a newer service falls back to what its status means", async () => {
  const url = await answering((_request, response) => {
    response.writeHead(429).end('{"code":"QUOTA_SPENT","detail":"come back tomorrow"}');
  });
  await expect(clientOf(url).getState("a")).rejects.toMatchObject({
    code: "RATE_LIMITED",
    message: "come back tomorrow",
  });
});

test("each read carries the version that this client wrote or saw of that state", async () => {
  const asked: (bigint | undefined)[] = [];
  let version = 0n;
  const client = await clientOver({
    updateState: async (id) => writtenLike({ id, version: ++version }),
    getState: async (id, options?: ReadOptions) => {
      asked.push(options?.minVersion);
      return stateLike({ id, version: id === "seen" ? 9n : version });
    },
  });
  // Side by side, so that no answer knows of the other.
  await Promise.all([write(client), client.updateState("b", "note", 1)]);
  await client.getState("a");
  await client.getState("b");
  await client.getState("seen");
  await client.getState("seen");
  await client.getState("seen", { minVersion: 12n });
  await client.getState("seen", { consistency: "eventual" });
  expect(new Set(asked.slice(0, 2))).toEqual(new Set([1n, 2n]));
  expect(asked.slice(2)).toEqual([undefined, 9n, 12n, undefined]);
});

test("the token and the namespace go with every call; a call may name another namespace", async () => {
  const seen: (string | undefined)[][] = [];
  const url = await answering((request, response) => {
    const { authorization, "agent-namespace": namespace } = request.headers;
    seen.push([authorization, namespace?.toString()]);
    response.end('{"items":[]}');
  });
  const client = clientOf(`${url}/`, { token: "t", namespace: "one" });
  await client.list();
  await client.list({ namespace: "two" });
  expect(seen).toEqual([
    ["Bearer t", "one"],
    ["Bearer t", "two"],
  ]);
  expect(() => HttpStateClient.open({ url, namespace: "a/b" })).toThrow(
    expect.objectContaining({ code: "INVALID_NAMESPACE" }),
  );
});

test("a redirect is not followed: a token would go along", async () => {
  const url = await answering((_request, response) => {
    response.writeHead(307, { location: "http://127.0.0.1:1/" }).end();
  });
  await expect(clientOf(url).getState("a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("close ends a claim that waits for a task", async () => {
  const asked = deferred();
  const client = clientOf(await answering(() => asked.resolve()));
  const claim = client.tasks.claim({ worker: "w", incarnation: "1", waitMs: 600_000 });
  const ended = expect(claim).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: "this client was closed; open another",
  });
  await asked.promise;
  await client.close();
  await ended;
});

test("close waits for what was sent", async () => {
  const finish = deferred();
  const begun = deferred();
  const client = await clientOver({
    updateState: async () => {
      begun.resolve();
      await finish.promise;
      return writtenLike();
    },
  });
  const written = write(client);
  await begun.promise;
  const closed = client.close();
  finish.resolve();
  await closed;
  expect((await written).version).toBe(1n);
});
