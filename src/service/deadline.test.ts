import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withDeadline } from "./deadline.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = (): Promise<never> => new Promise(() => undefined);

test("what the work answers or throws comes through, and no timer or listener is left", async () => {
  const controller = new AbortController();
  const remove = vi.spyOn(controller.signal, "removeEventListener");
  const deadline = { what: "The read", timeoutMs: 1_000, signal: controller.signal };
  await expect(withDeadline(deadline, async () => 7)).resolves.toBe(7);
  const error = new Error("mine");
  await expect(withDeadline(deadline, () => Promise.reject(error))).rejects.toBe(error);
  expect(vi.getTimerCount()).toBe(0);
  expect(remove).toHaveBeenCalledTimes(2);
});

test("a time-out answers the caller, aborts the work and says that it may have happened", async () => {
  let seen: AbortSignal | undefined;
  const deadline = { what: "The write", timeoutMs: 1_000, mayHaveHappened: () => true };
  const answer = withDeadline(deadline, (signal) => {
    seen = signal;
    return never();
  });
  const refused = expect(answer).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("The write took longer than 1000 ms. It may have happened"),
    facts: { mayHaveHappened: true },
  });
  await vi.advanceTimersByTimeAsync(1_001);
  await refused;
  expect(seen?.aborted).toBe(true);
});

test("a signal that aborts cancels, and says where nothing has happened", async () => {
  const controller = new AbortController();
  const deadline = { what: "The write", signal: controller.signal, mayHaveHappened: () => false };
  const answer = withDeadline(deadline, never);
  controller.abort();
  await expect(answer).rejects.toMatchObject({
    code: "CANCELED",
    message: "The write was canceled. Nothing has happened.",
    facts: { mayHaveHappened: false },
  });
});

test("a signal that has aborted already keeps the work from starting", async () => {
  const run = vi.fn(never);
  const deadline = { what: "The read", signal: AbortSignal.abort(), mayHaveHappened: () => true };
  await expect(withDeadline(deadline, run)).rejects.toMatchObject({
    code: "CANCELED",
    facts: { mayHaveHappened: false },
  });
  expect(run).not.toHaveBeenCalled();
});

test("without anybody to ask, it does not say whether it happened", async () => {
  const answer = withDeadline({ what: "The read", timeoutMs: 5 }, never);
  const refused = expect(answer).rejects.toMatchObject({
    message: "The read took longer than 5 ms.",
    facts: {},
  });
  await vi.advanceTimersByTimeAsync(6);
  await refused;
});

test("a time-out of weeks is not one of a millisecond", async () => {
  let settled = false;
  const controller = new AbortController();
  const deadline = { what: "The read", timeoutMs: 2 ** 40, signal: controller.signal };
  const answer = withDeadline(deadline, never).catch(() => (settled = true));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(settled).toBe(false);
  controller.abort();
  await answer;
});

test("work that throws before its first await rejects, and fails late without harm", async () => {
  const broken = (): Promise<never> => {
    throw new Error("at once");
  };
  await expect(withDeadline({ what: "The read", timeoutMs: 5 }, broken)).rejects.toThrow("at once");
  expect(vi.getTimerCount()).toBe(0);
  const late = (): Promise<never> =>
    new Promise((_resolve, reject) => setTimeout(() => reject(new Error("late")), 10));
  const answer = withDeadline({ what: "The read", timeoutMs: 5 }, late);
  const refused = expect(answer).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await vi.advanceTimersByTimeAsync(20);
  await refused;
});

test("what came in time is taken, however long the event loop stood still meanwhile", async () => {
  vi.useRealTimers();
  const echo =
    "const { parentPort: p } = require('node:worker_threads'); p.on('message', (m) => p.postMessage(m));";
  const peer = new Worker(echo, { eval: true });
  const ask = async (): Promise<unknown> => {
    const answer = once(peer, "message");
    peer.postMessage("asked", []);
    return (await answer)[0];
  };
  await ask(); // it is up now
  await turn(); // from here on timers are next, and sockets and ports after them
  const answer = withDeadline({ what: "The read", timeoutMs: 20 }, ask);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
  await expect(answer).resolves.toBe("asked");
  await peer.terminate();
});
