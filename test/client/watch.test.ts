import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { StateFace } from "../../src/state/face.ts";
import type { Change } from "../../src/state/state.ts";
import { changeLike, deferred, faceThat } from "../server/faces.ts";
import { serve } from "../server/serve.ts";

const PATIENCE_MS = 100;

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function clientOver(watch: StateFace["watch"], feedHead?: () => Promise<string>) {
  const served = await serve(faceThat({ watch }), feedHead === undefined ? {} : { feedHead });
  open.push(() => served.close());
  const client = HttpStateClient.open({ url: served.url, watchPatienceMs: PATIENCE_MS });
  open.push(() => client.close());
  return { client, served };
}

async function take(count: number, changes: AsyncIterable<Change>): Promise<string[]> {
  const cursors: string[] = [];
  for await (const { cursor } of changes) {
    cursors.push(cursor);
    if (cursors.length === count) break;
  }
  return cursors;
}

test("a watch that is cut off a hundred times misses nothing and repeats nothing", async () => {
  // Each connection brings three changes and then breaks off, as a dying service would.
  const { client } = await clientOver(async function* (options) {
    const from = Number(options?.after ?? "0");
    for (let n = from + 1; n <= from + 3; n++) yield changeLike({ cursor: String(n) });
  });
  const cursors = await take(300, client.watch({ after: "0" }));
  expect(cursors).toEqual(Array.from({ length: 300 }, (_, n) => String(n + 1)));
});

test("a watch from now on that is cut off before its first change resumes where it began", async () => {
  const asked: (string | undefined)[] = [];
  let head = 41;
  const { client } = await clientOver(
    async function* (options) {
      asked.push(options?.after);
      if (asked.length > 1) yield changeLike({ cursor: "100" });
    },
    async () => String(++head),
  );
  await take(1, client.watch());
  expect(asked).toEqual(["42", "42"]);
});

test("a connection that is cut within an event gives that event once, whole", async () => {
  let connections = 0;
  const event = (cursor: string) => {
    const { cursor: _, ...change } = changeLike({ cursor });
    const data = JSON.stringify(change, (_name, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    return `event: change\nid: ${cursor}\ndata: ${data}\n\n`;
  };
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (connections++ === 0) {
      response.write(event("1") + event("2").slice(0, -20), () => response.destroy());
    } else {
      expect(request.url).toBe("/v1/watch?after=1");
      for (const piece of event("2")) response.write(piece);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = HttpStateClient.open({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  expect(await take(2, client.watch({ after: "0" }))).toEqual(["1", "2"]);
  server.closeAllConnections();
  server.close();
});

test("a gap is thrown with the cursor to go on from", async () => {
  // oxlint-disable-next-line require-yield -- it throws before it has anything to give
  const { client } = await clientOver(async function* (): AsyncGenerator<Change> {
    throw new AgentRuntimeError("GAP", "old", { resumeFrom: "9" });
  });
  await expect(take(1, client.watch({ after: "1" }))).rejects.toMatchObject({
    code: "GAP",
    facts: { resumeFrom: "9" },
  });
});

test("what the service refuses is thrown at once; that it is gone, only after a while", async () => {
  let refusal: "FORBIDDEN" | "UNAVAILABLE" = "FORBIDDEN";
  let calls = 0;
  const { client, served } = await clientOver(() => {
    calls++;
    throw new AgentRuntimeError(refusal, "not now");
  });
  await expect(take(1, client.watch())).rejects.toMatchObject({ code: "FORBIDDEN" });
  expect(calls).toBe(1);
  refusal = "UNAVAILABLE";
  await expect(take(1, client.watch())).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(calls).toBeGreaterThan(2);
  await served.close();
  await expect(take(1, client.watch())).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a watch whose process stood still for longer than its patience tries again before it gives up", async () => {
  const stoodStill = deferred();
  let calls = 0;
  const { client } = await clientOver(async function* () {
    yield changeLike({ cursor: String(++calls) });
    await stoodStill.promise;
    if (calls === 1) throw new AgentRuntimeError("UNAVAILABLE", "the connection is gone");
  });
  const changes = client.watch({ after: "0" })[Symbol.asyncIterator]();
  await changes.next();
  const second = changes.next();
  const over = performance.now() + 2 * PATIENCE_MS;
  while (performance.now() < over);
  stoodStill.resolve();
  expect((await second).value).toMatchObject({ cursor: "2" });
  await changes.return?.();
});

test("a watcher that leaves while it waits is let go, and so is the service", async () => {
  const left: string[] = [];
  const { client } = await clientOver(async function* (options) {
    yield changeLike();
    await once(options!.signal!, "abort");
    left.push("service");
  });
  const changes = client.watch()[Symbol.asyncIterator]();
  await changes.next();
  const waiting = changes.next();
  await changes.return?.();
  expect(await waiting).toEqual({ done: true, value: undefined });
  await expect.poll(() => left).toEqual(["service"]);
});

test("closing the client ends its watches", async () => {
  const { client } = await clientOver(async function* (options) {
    yield changeLike();
    await once(options!.signal!, "abort");
  });
  const cursors: string[] = [];
  for await (const { cursor } of client.watch()) {
    cursors.push(cursor);
    setTimeout(() => void client.close(), 1);
  }
  expect(cursors).toEqual(["1"]);
});
