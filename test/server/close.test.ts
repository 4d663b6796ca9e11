import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { deferred, faceThat, writtenLike } from "./faces.ts";
import { serve } from "./serve.ts";

const PUT = {
  method: "PUT",
  headers: { "content-type": "application/json" },
  body: '{"type":"x","data":1}',
};

test("a stop lets the requests in flight finish, and takes no more", async () => {
  const begun = deferred();
  const finish = deferred();
  const face = faceThat({
    updateState: async () => {
      begun.resolve();
      await finish.promise;
      return writtenLike();
    },
  });
  const served = await serve(face);
  const answer = fetch(`${served.url}/v1/states/a`, PUT);
  await begun.promise;
  const closed = served.close();
  while (served.app.server.listening) await setImmediate();
  expect(await refused(served.url)).toBe(true);
  finish.resolve();
  expect((await answer).status).toBe(201);
  await closed;
  expect(await refused(served.url)).toBe(true);
});

test("a request that a kept-alive connection brings once a stop has begun is answered, and told to be the last", async () => {
  const served = await serve(faceThat({ updateState: async () => writtenLike() }));
  const port = Number(new URL(served.url).port);
  const [writer, probe, watcher] = await Promise.all([
    keptAlive(port),
    keptAlive(port),
    keptAlive(port),
  ]);
  const closed = served.close();
  while (served.app.server.listening) await setImmediate();
  const { body, method } = PUT;
  const head = `content-type: application/json\r\ncontent-length: ${body.length}`;
  expect(await last(writer, `${method} /v1/states/a HTTP/1.1\r\n${head}`, body)).toMatch(
    /^HTTP\/1.1 201 [^]*\r\nconnection: close\r\n/i,
  );
  expect(await last(probe, "GET /readyz HTTP/1.1")).toMatch(/^HTTP\/1.1 503 [^]*"ready":false/);
  expect(await last(watcher, "GET /v1/watch HTTP/1.1")).toMatch(
    /^HTTP\/1.1 503 [^]*\r\nretry-after: 1\r\n[^]*is stopping/,
  );
  await closed;
});

test("a stop answers those as well whose connections it had not taken yet", async () => {
  const served = await serve(faceThat({ updateState: async () => writtenLike() }));
  const port = Number(new URL(served.url).port);
  const sockets = Array.from({ length: 50 }, () => connect(port, "127.0.0.1"));
  const connected = Promise.all(sockets.map((socket) => once(socket, "connect")));
  const answers = sockets.map((socket) => last(socket, "GET /healthz HTTP/1.1"));
  await connected;
  await served.close();
  for (const answer of await Promise.all(answers)) {
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
  }
});

test("a stop that is held up before its listener closes answers those who came meanwhile", async () => {
  const served = await serve(faceThat({}));
  const late = connect(Number(new URL(served.url).port), "127.0.0.1");
  const answer = last(late, "GET /healthz HTTP/1.1");
  const closed = served.close();
  standStill(100);
  expect(await answer).toMatch(/^HTTP\/1.1 200 /);
  await closed;
});

test("a stop that is held up behind clients that write on does not take that for their silence", async () => {
  const served = await serve(faceThat({}));
  const port = Number(new URL(served.url).port);
  const [one, other] = await Promise.all([keptAlive(port), keptAlive(port)]);
  const closed = served.close();
  while (served.app.server.listening) await setImmediate();
  await last(one, "GET /healthz HTTP/1.1");
  standStill(1_500);
  await sleep(100); // who is held up as well comes to itself a little later
  expect(await last(other, "GET /healthz HTTP/1.1")).toMatch(/^HTTP\/1.1 200 /);
  await closed;
});

test("an answer that was under way when a stop began says that its connection closes", async () => {
  const begun = deferred();
  const finish = deferred();
  const updateState = async () => {
    begun.resolve();
    await finish.promise;
    return writtenLike();
  };
  const served = await serve(faceThat({ updateState }));
  const answer = fetch(`${served.url}/v1/states/a`, PUT);
  await begun.promise;
  const closed = served.close();
  while (served.app.server.listening) await setImmediate();
  finish.resolve();
  expect((await answer).headers.get("connection")).toBe("close");
  await closed;
});

test("a stop does not wait for connections that ask nothing, or never did", async () => {
  const served = await serve(faceThat({}), { limits: { closeMs: 20_000 } });
  const unused = connect(Number(new URL(served.url).port), "127.0.0.1");
  unused.on("error", () => undefined);
  await once(unused, "connect");
  const socket = connect(Number(new URL(served.url).port), "127.0.0.1");
  socket.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await once(socket, "data");
  const from = performance.now();
  await served.close();
  expect(performance.now() - from).toBeLessThan(5_000);
  socket.destroy();
});

test("a stop cuts a request that never ends, after its bound", async () => {
  const begun = deferred();
  const face = faceThat({
    updateState: () => {
      begun.resolve();
      return new Promise(() => undefined);
    },
  });
  const served = await serve(face, { limits: { closeMs: 100 } });
  const answer = fetch(`${served.url}/v1/states/a`, PUT).then(
    () => "answered",
    () => "cut",
  );
  await begun.promise;
  await served.close();
  expect(await answer).toBe("cut");
});

/** As a process does that gets no processor. */
function standStill(ms: number): void {
  const over = performance.now() + ms;
  while (performance.now() < over);
}

/** A connection that was used once, and is kept. */
async function keptAlive(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await once(socket, "data");
  return socket;
}

/** All that a connection answers to one more request, until the service ends it; throws where it is reset. */
async function last(socket: Socket, head: string, body = ""): Promise<string> {
  socket.write(`${head}\r\nhost: localhost\r\n\r\n${body}`);
  return await text(socket);
}

/** Whether a new request is not served: not connected, or told to come later. */
async function refused(url: string): Promise<boolean> {
  return await fetch(`${url}/healthz`).then(
    ({ status }) => status === 503,
    () => true,
  );
}
