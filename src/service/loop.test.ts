import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Loop } from "./loop.ts";
import type { LoopOptions } from "./loop.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function quietLog() {
  return { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
}

function loopOf(runOnce: LoopOptions["runOnce"], log = quietLog()) {
  const backoff = { firstMs: 100, maxMs: 400 };
  return new Loop({ name: "test", runOnce, pauseMs: 1_000, backoff, log, random: () => 0.999 });
}

test("a round that left nothing is followed by the pause, one that left more is not", async () => {
  const answers = [true, true, false, false];
  const runOnce = vi.fn(async () => answers.shift() ?? false);
  const loop = loopOf(runOnce);
  loop.start();
  loop.start();
  await vi.advanceTimersByTimeAsync(10);
  expect(runOnce).toHaveBeenCalledTimes(3);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(runOnce).toHaveBeenCalledTimes(4);
  await loop.stop();
});

test("two rounds never run at once, however often it is woken", async () => {
  let running = 0;
  let most = 0;
  const loop = loopOf(async () => {
    most = Math.max(most, (running += 1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    running -= 1;
    return false;
  });
  loop.start();
  for (let i = 0; i < 20; i++) {
    loop.wake();
    await vi.advanceTimersByTimeAsync(13);
  }
  expect(most).toBe(1);
  const stopped = loop.stop();
  await vi.runAllTimersAsync();
  await stopped;
});

test("waking it ends the pause", async () => {
  const runOnce = vi.fn(async () => false);
  const loop = loopOf(runOnce);
  loop.start();
  await vi.advanceTimersByTimeAsync(1);
  loop.wake();
  await vi.advanceTimersByTimeAsync(1);
  expect(runOnce).toHaveBeenCalledTimes(2);
  await loop.stop();
});

test("waking it during a round leaves out the pause after that round, once", async () => {
  const runOnce = vi.fn(async () => {
    if (runOnce.mock.calls.length === 1) loop.wake();
    return false;
  });
  const loop: Loop = loopOf(runOnce);
  loop.start();
  await vi.advanceTimersByTimeAsync(10);
  expect(runOnce).toHaveBeenCalledTimes(2);
  await loop.stop();
});

test("failures are told, delay the next round longer and longer, and waking does not shorten that", async () => {
  const log = quietLog();
  const runOnce = vi.fn(async (): Promise<boolean> => {
    if (runOnce.mock.calls.length <= 3) throw new Error("database is away");
    return false;
  });
  const loop = loopOf(runOnce, log);
  loop.start();
  await vi.advanceTimersByTimeAsync(1);
  expect(loop.failures).toBe(1);
  loop.wake();
  await vi.advanceTimersByTimeAsync(98);
  expect(runOnce).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(runOnce).toHaveBeenCalledTimes(2);
  await vi.advanceTimersByTimeAsync(200);
  expect(runOnce).toHaveBeenCalledTimes(3);
  await vi.advanceTimersByTimeAsync(400);
  expect(runOnce).toHaveBeenCalledTimes(4);
  expect(loop.failures).toBe(0);
  expect(log.warn.mock.calls.map(([facts]) => facts as object)).toMatchObject([
    { loop: "test", failures: 1, retryInMs: 100 },
    { loop: "test", failures: 2, retryInMs: 200 },
    { loop: "test", failures: 3, retryInMs: 400 },
  ]);
  expect(log.info).toHaveBeenCalledWith({ loop: "test", failures: 3 }, "works again");
  await loop.stop();
});

test("stopping ends a pause and a backoff at once, is safe twice, and final", async () => {
  for (const runOnce of [async () => false, () => Promise.reject(new Error("no"))]) {
    const loop = loopOf(runOnce);
    loop.start();
    await vi.advanceTimersByTimeAsync(1);
    await Promise.all([loop.stop(), loop.stop()]);
    expect(vi.getTimerCount()).toBe(0);
    loop.start();
    loop.wake();
    expect(vi.getTimerCount()).toBe(0);
  }
});

test("stopping tells the round that runs, waits for it, and takes no offence at how it ends", async () => {
  const log = quietLog();
  const events: string[] = [];
  const loop = loopOf(
    (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          events.push("told");
          reject(new Error("aborted"));
        });
      }),
    log,
  );
  loop.start();
  await loop.stop();
  events.push("stopped");
  expect(events).toEqual(["told", "stopped"]);
  expect(log.warn).not.toHaveBeenCalled();
});

test("one that was never started stops", async () => {
  await loopOf(async () => false).stop();
});

test("rounds that always have more let everybody else run", async () => {
  vi.useRealTimers();
  const loop = loopOf(async () => true);
  loop.start();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await loop.stop();
});

test("many may listen for its end at once, without a warning of Node's", async () => {
  const warned = vi.fn();
  process.on("warning", warned);
  onTestFinished(() => void process.off("warning", warned));
  const loop = loopOf(async (signal) => {
    for (let count = 0; count < 50; count++) signal.addEventListener("abort", () => {});
    return false;
  });
  loop.start();
  await vi.advanceTimersByTimeAsync(10);
  await loop.stop();
  expect(warned).not.toHaveBeenCalled();
});
