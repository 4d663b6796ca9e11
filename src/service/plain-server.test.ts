import { expect, onTestFinished, test } from "vitest";
import { PlainServer } from "./plain-server.ts";
import type { PlainAnswer } from "./plain-server.ts";

async function open(answer: (url: string) => PlainAnswer | Promise<PlainAnswer>): Promise<string> {
  const server = new PlainServer(({ url = "" }) => answer(url));
  const url = await server.start("127.0.0.1", 0);
  onTestFinished(() => server.stop());
  return url;
}

test("answers what its handler says, and a HEAD without the body", async () => {
  const url = await open((path) => ({ status: 404, text: `{"path":"${path}"}` }));
  const answer = await fetch(`${url}/a?b`);
  expect([answer.status, answer.headers.get("content-type"), await answer.json()]).toEqual([
    404,
    "application/json",
    { path: "/a?b" },
  ]);
  const head = await fetch(`${url}/a`, { method: "HEAD" });
  expect([head.headers.get("content-length"), await head.text()]).toEqual(["13", ""]);
});

test("a handler that fails ends its connection and not the process", async () => {
  const url = await open((path) => {
    if (path === "/bad") return Promise.reject(new Error("no"));
    return { status: 200, text: "{}" };
  });
  await expect(fetch(`${url}/bad`)).rejects.toThrow(/fetch failed/);
  expect((await fetch(url)).status).toBe(200);
});

test("an address that somebody else has is refused with its name; a stop is safe twice", async () => {
  const taken = new URL(await open(() => ({ status: 200, text: "{}" })));
  const second = new PlainServer(() => ({ status: 200, text: "{}" }));
  await expect(second.start(taken.hostname, Number(taken.port))).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining(`cannot listen on ${taken.host}`) as string,
  });
  await second.stop();
  await second.stop();
});
