import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { afterEach, expect, test } from "vitest";
import type { Row } from "../../src/supabase/rows.ts";
import type { Operation } from "../../src/supabase/caller.ts";
import { openDataApiTransport } from "../../src/supabase/data-api/transport.ts";
import type { Transport } from "../../src/supabase/caller.ts";
import { Proxy } from "../support/proxy.ts";
import { KEYS } from "../support/supabase.ts";

// What stands before a Data API answers by itself at times, and then nobody knows more than its status: these tests
// stand there.

const READ = {
  fn: "read",
  parameters: { a: "text" },
  columns: ["x"],
  writes: false,
} as const satisfies Operation;
const WRITE = { ...READ, fn: "write", writes: true } as const satisfies Operation;

/** What a call may take: more than a busy machine takes for one. */
const CALL_MS = 2_000;

const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A transport to a server that answers what the test wants. */
async function transportTo(answer: Answer): Promise<Transport> {
  const server: Server = createServer((request, response) => {
    request.resume();
    request.on("end", () => answer(request, response));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function open(url: string): Transport {
  const address = { url, key: KEYS.secret, setting: "supabase.main" };
  const transport = openDataApiTransport({
    address,
    statementTimeoutMs: CALL_MS,
    lanes: 1,
    readers: 2,
  });
  ends.push(() => transport.close());
  return transport;
}

const write = (transport: Transport): Promise<Row[]> => transport.lanes[0]!.call(WRITE, { a: "1" });
const read = (transport: Transport): Promise<Row[]> => transport.reader.call(READ, { a: "1" });

function say(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, headers);
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

const PAGE = "<html><title>502 Bad Gateway</title></html>";

test.each([
  ["502, a page", say(502, PAGE), "UNAVAILABLE", true],
  ["503, a page", say(503, PAGE), "UNAVAILABLE", true],
  ["504, a page", say(504, PAGE), "UNAVAILABLE", true],
  ["522, a page", say(522, PAGE), "UNAVAILABLE", true],
  ["500, a code that nobody knows", say(500, { code: "SUP", message: "?" }), "UNAVAILABLE", true],
  ["200, a page", say(200, PAGE), "UNAVAILABLE", true],
  ["200, JSON of another kind", say(200, { ok: true }), "UNAVAILABLE", true],
  ["200, nothing", say(200, ""), "UNAVAILABLE", true],
  ["200, without the column", say(200, { columns: ["y"], rows: [["1"]] }), "SCHEMA_MISMATCH", true],
  [
    "503, no connection to the database",
    say(503, { code: "PGRST001", message: "no" }),
    "UNAVAILABLE",
    false,
  ],
  ["504, no connection free", say(504, { code: "PGRST003", message: "no" }), "UNAVAILABLE", false],
  [
    "500, a statement that took too long",
    say(500, { code: "57014", message: "no" }),
    "UNAVAILABLE",
    false,
  ],
  [
    "500, a database that goes down",
    say(500, { code: "57P01", message: "no" }),
    "UNAVAILABLE",
    true,
  ],
  [
    "503, a connection that was lost",
    say(503, { code: "08006", message: "no" }),
    "UNAVAILABLE",
    true,
  ],
  ["500, a deadlock", say(500, { code: "40P01", message: "no" }), "UNAVAILABLE", false],
  ["503, a lost race", say(503, { code: "PT503", message: "no" }), "UNAVAILABLE", false],
  ["400, a fault of ours", say(400, { code: "22P02", message: "no" }), "INTERNAL", false],
  ["404, no such function in SQL", say(404, { code: "42883", message: "no" }), "INTERNAL", false],
  [
    "400, a request that makes no sense",
    say(400, { code: "PGRST102", message: "no" }),
    "INTERNAL",
    false,
  ],
  [
    "406, a schema that is not exposed",
    say(406, { code: "PGRST106", message: "no" }),
    "SCHEMA_MISMATCH",
    false,
  ],
  ["401, a key that is wrong", say(401, { message: "Invalid API key" }), "UNAVAILABLE", false],
  [
    "401, a JWT that has expired",
    say(401, { code: "PGRST301", message: "JWT expired" }),
    "UNAVAILABLE",
    false,
  ],
  ["403, a page", say(403, PAGE), "UNAVAILABLE", false],
  ["404, a page", say(404, PAGE), "UNAVAILABLE", false],
  ["301, to elsewhere", say(301, "", { location: "http://127.0.0.1:1/" }), "UNAVAILABLE", false],
  ["413, a page", say(413, PAGE), "PAYLOAD_TOO_LARGE", false],
  ["429, a page", say(429, PAGE), "RATE_LIMITED", false],
])("a write that is answered %s", async (_name, answer, code, mayHaveHappened) => {
  const failure = await write(await transportTo(answer)).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code, facts: { mayHaveHappened } });
  const says = mayHaveHappened
    ? /may have happened|add `agent_state_api`/
    : /nothing happened|fault|exposed schemas/i;
  expect(String(failure)).toMatch(says);
});

test("a read never may have happened", async () => {
  for (const answer of [say(502, PAGE), say(200, PAGE), say(500, { code: "57P01", message: "" })]) {
    await expect(read(await transportTo(answer))).rejects.toMatchObject({
      code: "UNAVAILABLE",
      facts: { mayHaveHappened: false },
    });
  }
});

test("who asks too often is told when to ask again", async () => {
  const transport = await transportTo(say(429, "", { "retry-after": "7" }));
  await expect(write(transport)).rejects.toMatchObject({ facts: { retryAfterMs: 7_000 } });
  const unsaid = await transportTo(say(429, "", { "retry-after": "soon" }));
  await expect(write(unsaid)).rejects.toMatchObject({ facts: { retryAfterMs: 1_000 } });
});

test("a key that comes back in an answer is not shown", async () => {
  const message = `no such key: ${KEYS.secret}`;
  for (const body of [
    { message },
    { code: "PGRST301", message },
    { code: "42501", message },
    { code: "22P02", message },
  ]) {
    const failure = await write(await transportTo(say(401, body))).catch((error: unknown) => error);
    expect(String(failure)).toContain("***");
    expect(String(failure)).not.toContain(KEYS.secret);
  }
});

test("a redirect is not followed, so that no key goes astray", async () => {
  let strayed = 0;
  const other = await transportTo((_request, response) => {
    strayed++;
    response.end("{}");
  });
  void other;
  const transport = await transportTo(say(307, "", { location: "/rest/v1/elsewhere" }));
  await expect(write(transport)).rejects.toMatchObject({
    message: expect.stringMatching(/307.*`supabase.main`/),
  });
  expect(strayed).toBe(0);
});

test("columns come in the order that was asked for, whichever they have and whatever stands between", async () => {
  const transport = await transportTo(
    say(200, { columns: ["new", "b", "a"], rows: [["0", "2", null]] }),
  );
  const operation = { ...READ, columns: ["a", "b"] } as const satisfies Operation;
  expect(await transport.reader.call(operation, { a: null })).toEqual([[null, "2"]]);
});

test("a read whose connection breaks is sent again, once; a write never is", async () => {
  let asked = 0;
  const transport = await transportTo((request, response) => {
    asked++;
    if (asked % 2 === 1) request.socket.destroy();
    else response.end(JSON.stringify({ columns: ["x"], rows: [] }));
  });
  expect(await read(transport)).toEqual([]);
  expect(asked).toBe(2);
  await expect(write(transport)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: true },
  });
  expect(asked).toBe(3);
});

test("a function that is not known yet is asked for again, for some seconds", async () => {
  let asked = 0;
  const transport = await transportTo((request, response) => {
    asked++;
    if (asked < 4)
      say(404, { code: "PGRST202", message: "not in the schema cache" })(request, response);
    else response.end(JSON.stringify({ columns: ["x"], rows: [["1"]] }));
  });
  expect(await write(transport)).toEqual([["1"]]);
  expect(asked).toBe(4);
});

test("one that stays unknown is a schema that is missing, and the error says what to do", async () => {
  const transport = await transportTo(say(404, { code: "PGRST202", message: "no" }));
  await expect(write(transport)).rejects.toMatchObject({
    code: "SCHEMA_MISMATCH",
    message: expect.stringMatching(
      /agent_state_api\.write \(PGRST202\).*state migrate --database-url.*exposed schemas/,
    ),
  });
});

test("no more reads are under way than there may be, and all are answered", async () => {
  let open = 0;
  let most = 0;
  const transport = await transportTo((_request, response) => {
    open++;
    most = Math.max(most, open);
    setImmediate(() => {
      open--;
      response.end(JSON.stringify({ columns: ["x"], rows: [["1"]] }));
    });
  });
  const answers = await Promise.all(Array.from({ length: 20 }, () => read(transport)));
  expect(answers).toHaveLength(20);
  expect(most).toBe(2);
});

test("who is not there has not done anything", async () => {
  const gone = await Proxy.open({ host: "127.0.0.1", port: 9 });
  const { port } = gone;
  await gone.close();
  const transport = open(`http://127.0.0.1:${port}`);
  await expect(write(transport)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("ECONNREFUSED"),
    facts: { mayHaveHappened: false },
  });
});

test("a silent server costs no more than the time that a call may take", async () => {
  const transport = await transportTo(() => undefined);
  await expect(write(transport)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: true },
  });
  await expect(read(transport)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: false },
  });
});

test("nor do those that wait for a silent server's other answers: their wait is a part of that time", async () => {
  const transport = await transportTo(() => undefined);
  const from = performance.now();
  const reads = await Promise.allSettled(Array.from({ length: 8 }, () => read(transport)));
  for (const each of reads) expect(each).toMatchObject({ reason: { code: "UNAVAILABLE" } });
  // Two at a time, one after the other, they would take four times as long as one.
  expect(performance.now() - from).toBeLessThan(3 * CALL_MS);
});

test("an answer that stops half-way is none", async () => {
  const transport = await transportTo((_request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write('{"columns":');
  });
  await expect(write(transport)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    facts: { mayHaveHappened: true },
  });
});
