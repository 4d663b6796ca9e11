import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Services } from "./services.ts";
import type { Service } from "./services.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = (): Promise<never> => new Promise(() => undefined);

function quietLog() {
  return { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
}

/** Services that write down what happens to them. */
function services(overrides: Record<string, Partial<Service>> = {}) {
  const events: string[] = [];
  const all = ["database", "manager", "server"].map((name): Service => {
    const own = overrides[name] ?? {};
    return {
      name,
      start: async () => {
        events.push(`start ${name}`);
        await own.start?.();
      },
      stop: async () => {
        events.push(`stop ${name}`);
        await own.stop?.();
      },
    };
  });
  const log = quietLog();
  return { group: new Services(all, { graceMs: 1_000, log }), events, log };
}

test("they start in order and stop in reverse, once, however often they are told", async () => {
  const { group, events } = services();
  await Promise.all([group.start(), group.start()]);
  expect(await Promise.all([group.stop(), group.stop()])).toEqual([[], []]);
  expect(events).toEqual([
    "start database",
    "start manager",
    "start server",
    "stop server",
    "stop manager",
    "stop database",
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

test("where one fails to start, it and those before it are stopped, and its error is thrown", async () => {
  const error = new Error("the port is taken");
  const { group, events } = services({ manager: { start: () => Promise.reject(error) } });
  await expect(group.start()).rejects.toBe(error);
  expect(events).toEqual(["start database", "start manager", "stop manager", "stop database"]);
  expect(await group.stop()).toEqual([]);
  expect(events).toHaveLength(4);
});

test("one that hangs is left behind in time for the others, and named", async () => {
  const { group, events, log } = services({ server: { stop: never } });
  await group.start();
  const stopped = group.stop();
  await vi.advanceTimersByTimeAsync(499);
  expect(events.at(-1)).toBe("stop server");
  await vi.advanceTimersByTimeAsync(1);
  expect(await stopped).toEqual(["server"]);
  expect(events.slice(-2)).toEqual(["stop manager", "stop database"]);
  expect(log.warn).toHaveBeenCalledWith(
    { service: "server", waitedMs: 500 },
    "did not stop in time",
  );
});

test("when all hang, it ends within the grace all the same", async () => {
  const hang = { stop: never };
  const { group } = services({ server: hang, manager: hang, database: hang });
  await group.start();
  const stopped = group.stop();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await stopped).toEqual(["server", "manager", "database"]);
});

test("one that fails to stop is told in the log and does not keep the others", async () => {
  const error = new Error("no");
  const { group, events, log } = services({ manager: { stop: () => Promise.reject(error) } });
  await group.start();
  expect(await group.stop()).toEqual(["manager"]);
  expect(events.at(-1)).toBe("stop database");
  expect(log.error).toHaveBeenCalledWith({ service: "manager", error }, "failed to stop");
});

test("stopping while it starts lets the current one finish, starts no more, and cancels the start", async () => {
  let finish = (): void => undefined;
  const slow = { start: () => new Promise<void>((resolve) => (finish = resolve)) };
  const { group, events } = services({ manager: slow });
  const started = expect(group.start()).rejects.toMatchObject({ code: "CANCELED" });
  await vi.advanceTimersByTimeAsync(1);
  const stopped = group.stop();
  finish();
  await started;
  expect(await stopped).toEqual([]);
  expect(events).toEqual(["start database", "start manager", "stop manager", "stop database"]);
});

test("a start that hangs does not keep the stop", async () => {
  const { group, events } = services({ manager: { start: never, stop: never } });
  void group.start();
  await vi.advanceTimersByTimeAsync(1);
  const stopped = group.stop();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await stopped).toEqual(["manager"]);
  expect(events.at(-1)).toBe("stop database");
});

test("a start that fails while a stop waits for it ends both at once", async () => {
  let fail = (): void => undefined;
  const error = new Error("no");
  const broken = {
    start: () => new Promise<void>((_resolve, reject) => (fail = () => reject(error))),
  };
  const { group, events } = services({ manager: broken });
  const started = expect(group.start()).rejects.toBe(error);
  await vi.advanceTimersByTimeAsync(1);
  const stopped = group.stop();
  fail();
  await started;
  expect(await stopped).toEqual([]);
  expect(events.slice(2)).toEqual(["stop manager", "stop database"]);
});

test("what was never started stops, and can no longer be started", async () => {
  const { group, events } = services();
  expect(await group.stop()).toEqual([]);
  await expect(group.start()).rejects.toMatchObject({ code: "CANCELED" });
  expect(events).toEqual([]);
});
