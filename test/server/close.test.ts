import { once } from "node:events";
import { connect } from "node:net";
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
  expect(await refused(served.url)).toBe(true);
  finish.resolve();
  expect((await answer).status).toBe(201);
  await closed;
  expect(await refused(served.url)).toBe(true);
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

/** Whether a new request is not served: not connected, or told to come later. */
async function refused(url: string): Promise<boolean> {
  return await fetch(`${url}/healthz`).then(
    ({ status }) => status === 503,
    () => true,
  );
}
