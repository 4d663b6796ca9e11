import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Proxy } from "./proxy.ts";
import { until } from "./until.ts";

let echo: Server;
let proxy: Proxy;

beforeEach(async () => {
  echo = createServer((socket) => {
    socket.on("error", () => undefined).pipe(socket);
  });
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  const { port } = echo.address() as AddressInfo;
  proxy = await Proxy.open({ host: "127.0.0.1", port });
});

afterEach(async () => {
  await proxy.close();
  echo.close();
});

async function client(): Promise<Socket> {
  const connected = once(proxy, "connection");
  const socket = connect(proxy.port, "127.0.0.1").on("error", () => undefined); // cut at the end
  await connected;
  return socket;
}

test("bytes go through and come back", async () => {
  const socket = await client();
  socket.write("hello");
  expect(String(await once(socket, "data"))).toBe("hello");
  socket.end();
  await once(socket, "close");
});

test("a cut resets the open connection, and a new one works", async () => {
  const socket = await client();
  const failed = once(socket, "error");
  expect(proxy.cut()).toBe(1);
  expect(String(await failed)).toContain("ECONNRESET");

  const second = await client();
  second.write("again");
  expect(String(await once(second, "data"))).toBe("again");
});

test("a frozen connection stays open and silent; thawed, it hands over what was held", async () => {
  const socket = await client();
  let received = "";
  socket.on("data", (chunk) => (received += String(chunk)));
  proxy.freeze();
  socket.write("held");
  const other = await client(); // arrives, so the loop has turned and the bytes could have come
  expect([received, proxy.open, other.destroyed]).toEqual(["", 2, false]);

  proxy.thaw();
  await until(() => received === "held");
});

test("delayed bytes keep their order", async () => {
  const socket = await client();
  let received = "";
  socket.on("data", (chunk) => (received += String(chunk)));
  proxy.delay(20);
  const started = performance.now();
  socket.write("one ");
  socket.write("two");
  await until(() => received === "one two");
  expect(performance.now() - started).toBeGreaterThanOrEqual(35); // there and back
});

test("refused connections are reset while open ones go on", async () => {
  const socket = await client();
  proxy.refuse();
  const refused = connect(proxy.port, "127.0.0.1");
  expect(String(await once(refused, "error"))).toContain("ECONNRESET");
  socket.write("still here");
  expect(String(await once(socket, "data"))).toBe("still here");
  proxy.accept();
  await client();
});

test("it listens on a unix socket as well", async () => {
  const folder = mkdtempSync(join(tmpdir(), "proxy-"));
  const path = join(folder, "s");
  const { port } = echo.address() as AddressInfo;
  const unix = await Proxy.open({ host: "127.0.0.1", port }, { path });
  const socket = connect(path);
  socket.write("local");
  expect(String(await once(socket, "data"))).toBe("local");
  const closed = once(socket, "close");
  await unix.close();
  await closed;
  rmSync(folder, { recursive: true });
});
