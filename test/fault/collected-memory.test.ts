import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, onTestFinished, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";

// Whatever only a weak reference leads to is gone after a collection. Signals were, once.

const TIMEOUT_MS = 500;
const HUNG_MS = 5_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** A service that begins every answer and never goes on. */
async function clientOfSilence(type: string): Promise<HttpStateClient> {
  const begin: RequestListener = (_request, response) => {
    response.writeHead(200, { "content-type": type });
    response.write(type === "application/json" ? "{" : "id: 0\n\n");
  };
  const server = createServer(begin).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return HttpStateClient.open({ url: `http://127.0.0.1:${port}`, timeoutMs: TIMEOUT_MS });
}

/** Once the head of an answer is there and nothing holds what need not be held. */
async function afterCollection(): Promise<void> {
  for (let round = 0; round < 6; round += 1) {
    await sleep(20);
    collect();
  }
}

/** What came of it, or that it hangs. */
async function fateOf(promise: Promise<unknown>): Promise<unknown> {
  const ended = promise.then(
    () => "ended",
    (error: unknown) => (error as { code?: unknown }).code,
  );
  return Promise.race([ended, sleep(HUNG_MS).then(() => "hangs")]);
}

test("a watch on a silent connection ends when its signal says so", async () => {
  const client = await clientOfSilence("text/event-stream");
  const stop = new AbortController();
  const iterator = client.watch({ after: "0", signal: stop.signal })[Symbol.asyncIterator]();
  const next = iterator.next();
  await afterCollection();
  stop.abort();
  expect(await fateOf(next)).toBe("ended");
});

test("a call whose answer stops in the middle ends in its time", async () => {
  const client = await clientOfSilence("application/json");
  const read = client.getState("state");
  const written = client.updateState("state", "shared", 1);
  const fates = Promise.all([fateOf(read), fateOf(written)]);
  await afterCollection();
  expect(await fates).toEqual(["UNAVAILABLE", "UNAVAILABLE"]);
});
