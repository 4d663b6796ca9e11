import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { readEvents } from "../../src/client/event-stream.ts";
import type { StreamEvent } from "../../src/client/event-stream.ts";
import type { ServerOptions } from "../../src/server/options.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { StateFace } from "../../src/state/face.ts";
import type { WatchOptions } from "../../src/state/request.ts";
import type { Change } from "../../src/state/state.ts";
import { until } from "../support/until.ts";
import { changeLike, faceThat } from "./faces.ts";
import { serve } from "./serve.ts";
import type { Served } from "./serve.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function serveWatch(
  watch: StateFace["watch"],
  options: Partial<ServerOptions> = {},
): Promise<Served> {
  const served = await serve(faceThat({ watch }), options);
  open.push(() => served.close());
  return served;
}

/** Waits, as a real watch does, until whoever watches has left. */
async function leaving(signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted !== true) await once(signal!, "abort");
}

async function eventsOf(
  url: string,
  count: number,
  headers: Record<string, string> = {},
): Promise<StreamEvent[]> {
  const left = new AbortController();
  const response = await fetch(url, { headers, signal: left.signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  const events: StreamEvent[] = [];
  for await (const event of readEvents(response.body as AsyncIterable<Uint8Array>)) {
    events.push(event);
    if (events.length === count) break;
  }
  left.abort();
  return events;
}

test("each change is one event: its cursor as the id, itself as one line of JSON", async () => {
  const change = changeLike({ cursor: "c-7", version: 2n ** 60n, data: { text: "a\nb" } });
  const { url } = await serveWatch(async function* (options) {
    yield change;
    await leaving(options?.signal);
  });
  const [event] = await eventsOf(`${url}/v1/watch`, 1);
  expect(event).toMatchObject({ name: "change", lastEventId: "c-7" });
  const { cursor: _, ...rest } = change;
  expect(JSON.parse(event!.data)).toEqual({
    ...rest,
    step: "1",
    version: String(2n ** 60n),
    at: change.at.toISOString(),
  });
});

test("what is watched comes from the query; Last-Event-ID is stronger than after", async () => {
  const asked: (WatchOptions | undefined)[] = [];
  const { url } = await serveWatch(async function* (options) {
    asked.push(options);
    yield changeLike();
  });
  const query = "scope=s&id=i&type=t&after=1&data=false";
  await eventsOf(`${url}/v1/watch?${query}`, 2);
  await eventsOf(`${url}/v1/watch?after=1`, 2, { "last-event-id": "5", "agent-namespace": "ns" });
  expect(asked).toMatchObject([
    { scope: "s", id: "i", type: "t", after: "1", data: false },
    { after: "5", namespace: "ns" },
  ]);
});

test("a watch from now on first tells where it begins, so that it can be resumed", async () => {
  const asked: (string | undefined)[] = [];
  const { url } = await serveWatch(
    async function* (options) {
      asked.push(options?.after);
      yield changeLike({ cursor: "43" });
    },
    { feedHead: async () => "42" },
  );
  const [first, second] = await eventsOf(`${url}/v1/watch`, 2);
  expect(first).toMatchObject({ name: "", data: "", lastEventId: "42" });
  expect(second).toMatchObject({ name: "change", lastEventId: "43" });
  expect(asked).toEqual(["42"]);
});

test("a gap is an event, and the stream goes on from where changes are kept", async () => {
  const asked: (string | undefined)[] = [];
  // The face throws before it has anything to give.
  const { url } = await serveWatch(async function* (options): AsyncGenerator<Change> {
    asked.push(options?.after);
    if (options?.after === "1") throw new AgentRuntimeError("GAP", "old", { resumeFrom: "9" });
    yield changeLike({ cursor: "10" });
  });
  const events = await eventsOf(`${url}/v1/watch?after=1`, 3);
  expect(events).toMatchObject([
    { lastEventId: "1" },
    { name: "gap", data: '{"resumeFrom":"9"}', lastEventId: "9" },
    { name: "change", lastEventId: "10" },
  ]);
  expect(asked).toEqual(["1", "9"]);
});

test("a cursor that is none is refused with a status", async () => {
  // oxlint-disable-next-line require-yield -- it throws before it has anything to give
  const { url } = await serveWatch(async function* (): AsyncGenerator<Change> {
    throw new AgentRuntimeError("INVALID_CURSOR", "no cursor");
  });
  const answer = await fetch(`${url}/v1/watch?after=x`);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ code: "INVALID_CURSOR" });
});

test("an error in the middle is told as an event, and ends the stream", async () => {
  const { url } = await serveWatch(async function* () {
    yield changeLike();
    throw new AgentRuntimeError("UNAVAILABLE", "the database is gone");
  });
  const [, error] = await eventsOf(`${url}/v1/watch`, 9);
  expect(error!.name).toBe("error");
  expect(JSON.parse(error!.data)).toMatchObject({ status: 503, code: "UNAVAILABLE" });
});

test("a quiet stream carries comments", async () => {
  const { url } = await serveWatch(
    async function* (options) {
      await leaving(options?.signal);
      yield changeLike();
    },
    { limits: { watchCommentMs: 10 } },
  );
  const events = await eventsOf(`${url}/v1/watch`, 4);
  expect(events.every(({ name, data }) => name === "" && data === "")).toBe(true);
});

test("one watcher more than the limit is told to come later; who leaves makes room", async () => {
  let watching = 0;
  const { url } = await serveWatch(
    async function* (options) {
      watching++;
      try {
        yield changeLike();
        await leaving(options?.signal);
      } finally {
        watching--;
      }
    },
    { limits: { watchClients: 2 } },
  );
  const left = new AbortController();
  const watch = () => fetch(`${url}/v1/watch`, { signal: left.signal });
  expect((await watch()).status).toBe(200);
  expect((await watch()).status).toBe(200);
  const third = await fetch(`${url}/v1/watch`);
  expect([third.status, third.headers.get("retry-after")]).toEqual([503, "5"]);
  left.abort();
  await until(() => watching === 0, { what: "that the watchers are gone" });
  expect(await eventsOf(`${url}/v1/watch`, 1)).toHaveLength(1);
});

/** A client that asks to watch and then reads nothing. */
async function deafClient(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write("GET /v1/watch HTTP/1.1\r\nhost: localhost\r\n\r\n");
  socket.pause();
  socket.on("error", () => undefined);
  open.push(async () => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

test("a watch that waits behind another of its connection ends with it", async () => {
  let watching = 0;
  const { url } = await serveWatch(async function* (options) {
    watching++;
    try {
      while (options?.signal?.aborted !== true) {
        yield changeLike({ data: { text: "x".repeat(100_000) } });
      }
    } finally {
      watching--;
    }
  });
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write("GET /v1/watch HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(3));
  await until(() => watching === 3, { what: "all three watches" });
  socket.destroy();
  await until(() => watching === 0, { what: "that all three have ended" });
});

test("a client that does not read holds the feed back only for itself, and is cut off", async () => {
  let given = 0;
  let isOver = false;
  const data = { text: "x".repeat(100_000) };
  const { url } = await serveWatch(
    async function* (options) {
      try {
        while (options?.signal?.aborted !== true && given < 10_000) {
          given++;
          yield changeLike({ data, cursor: String(given) });
        }
      } finally {
        isOver = true;
      }
    },
    { limits: { watchStallMs: 200 } },
  );
  await deafClient(url);
  await until(() => isOver, { what: "that the deaf client is cut off" });
  // What the two sockets' buffers hold, and no more: the rest was never taken from the feed.
  expect(given).toBeLessThan(1_000);
});

test("a stop ends every stream, and the process can go", async () => {
  const served = await serve(
    faceThat({
      watch: async function* (options) {
        yield changeLike();
        await leaving(options?.signal);
      },
    }),
  );
  const response = await fetch(`${served.url}/v1/watch`);
  const reading = (async () => {
    let events = 0;
    for await (const _ of readEvents(response.body as AsyncIterable<Uint8Array>)) events++;
    return events;
  })();
  await served.close();
  expect(await reading).toBe(1);
});

test("HEAD on a watch opens nothing", async () => {
  const { url } = await serveWatch(() => {
    throw new Error("a watch was opened");
  });
  expect((await fetch(`${url}/v1/watch`, { method: "HEAD" })).status).toBe(405);
});
