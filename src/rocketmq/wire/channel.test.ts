import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { sendUnaryData, ServerWritableStream } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../service/clock.ts";
import { silentLog } from "../../service/log.ts";
import { Channel } from "./channel.ts";
import { METHODS } from "./methods.ts";

type Answering = ServerWritableStream<object, object>;

/**
 * A double of a proxy, as a real one cannot be had to break off just there: it hands out one message, and says nothing
 * more. Its answer comes on one connection, in order.
 */
async function openProxy(): Promise<{
  readonly channel: Channel;
  readonly asked: Promise<Answering>;
}> {
  const server = new Server();
  let onAsked: (call: Answering) => void;
  const asked = new Promise<Answering>((resolve) => (onAsked = resolve));
  const { queryRoute, receiveMessage } = METHODS;
  server.addService(
    { queryRoute, receiveMessage },
    {
      queryRoute: (_: unknown, answer: sendUnaryData<object>) => answer(null, {}),
      receiveMessage: (call: Answering) => {
        call.write({ message: { topic: { name: "t" }, body: Buffer.from("first") } });
        onAsked(call);
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const channel = openChannel(`127.0.0.1:${port}`);
  onTestFinished(() => server.forceShutdown());
  return { channel, asked };
}

function openChannel(endpoint: string): Channel {
  const parts = { requestTimeoutMs: 60_000, log: silentLog, clock: systemClock };
  const channel = new Channel(endpoint, "me", { endpoints: [endpoint], ...parts });
  onTestFinished(() => channel.close());
  return channel;
}

const WAIT = { what: "Receiving", timeoutMs: 60_000 };
const FIRST = [{ message: { body: Buffer.from("first") } }];

test("what had come when it is canceled is handed over", async () => {
  const { channel, asked } = await openProxy();
  const controller = new AbortController();
  const { signal } = controller;
  const receiving = channel.collect(METHODS.receiveMessage, {}, { ...WAIT, signal });
  await asked;
  await channel.call(METHODS.queryRoute, {}, WAIT); // answered on the same connection, so the message was read
  controller.abort();
  expect(await receiving).toMatchObject(FIRST);
});

test("what had come when it breaks off is handed over", async () => {
  const { channel, asked } = await openProxy();
  const receiving = channel.collect(METHODS.receiveMessage, {}, WAIT);
  (await asked).emit("error", { code: status.UNAVAILABLE, details: "away" });
  expect(await receiving).toMatchObject(FIRST);
});

test("where nothing had come it is told why", async () => {
  const channel = openChannel("127.0.0.1:9");
  const receiving = channel.collect(METHODS.receiveMessage, {}, { ...WAIT, timeoutMs: 2_000 });
  await expect(receiving).rejects.toThrow(/Receiving: no answer from RocketMQ/);
});
