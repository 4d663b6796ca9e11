import { expect, test, vi } from "vitest";
import { afterTime } from "./after-time.ts";
import { onAbort } from "./on-abort.ts";

test("many calls that share a signal are no leak, and are all told once", () => {
  const warned = vi.spyOn(process, "emitWarning");
  const shared = new AbortController();
  const told = vi.fn();
  const unhear = Array.from({ length: 30 }, () => onAbort(shared.signal, () => told()));
  unhear[0]!();
  shared.abort();
  expect(told).toHaveBeenCalledTimes(29);
  expect(warned).not.toHaveBeenCalled();
});

test("a time beyond what a timer can is waited for as long as one can, not for 1 ms", () => {
  const warned = vi.spyOn(process, "emitWarning");
  for (const ms of [Number.POSITIVE_INFINITY, 2 ** 40]) afterTime(ms, () => undefined)();
  expect(warned).not.toHaveBeenCalled();
});
