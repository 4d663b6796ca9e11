import { expect, test } from "vitest";
import type { Screen } from "../terminal.ts";
import { Progress } from "./progress.ts";
import { columnsOf } from "./text.ts";

/** A screen that keeps what is written, and a clock that the test turns. */
function setUp(screen: { readonly isTTY: boolean; readonly columns?: number }) {
  const written: string[] = [];
  const clock = { ms: 0, now: () => 0, monotonicMs: () => clock.ms };
  const fake: Screen = {
    ...screen,
    write: (text) => written.push(text) > 0,
    once: () => undefined,
    off: () => undefined,
  };
  return { written, clock, screen: fake };
}

test("the bar on a terminal says how far it is", () => {
  const { written, clock, screen } = setUp({ isTTY: true, columns: 80 });
  const progress = new Progress({ screen, total: 200, clock });
  progress.update(50, "50 of 200 steps");
  expect(written).toEqual([`\r\u001b[K${"█".repeat(6)}${"░".repeat(18)}  25%  50 of 200 steps`]);
});

test("the bar is drawn at most ten times a second", () => {
  const { written, clock, screen } = setUp({ isTTY: true });
  const progress = new Progress({ screen, total: 1_000, clock });
  for (clock.ms = 0; clock.ms < 1_000; clock.ms++) progress.update(clock.ms);
  expect(written).toHaveLength(10);
});

test("the bar fits into a narrow terminal", () => {
  const { written, clock, screen } = setUp({ isTTY: true, columns: 30 });
  new Progress({ screen, total: 10, clock }).update(3, "a note that is far too long for it");
  expect(columnsOf(written[0]!.replace("\r\u001b[K", ""))).toBeLessThan(30);
});

test("a line goes above the bar, which is drawn again below it", () => {
  const { written, clock, screen } = setUp({ isTTY: true, columns: 80 });
  const progress = new Progress({ screen, total: 2, clock });
  progress.update(1);
  progress.line("agent-1: 20 steps");
  expect(written.slice(1, 3)).toEqual(["\r\u001b[K", "agent-1: 20 steps\n"]);
  expect(written[3]).toContain("50%");
});

test("the end takes the bar away", () => {
  const { written, clock, screen } = setUp({ isTTY: true });
  const progress = new Progress({ screen, total: 2, clock });
  progress.update(2);
  progress.end();
  progress.end();
  expect(written.slice(1)).toEqual(["\r\u001b[K"]);
});

test("where there is no terminal, there are lines and no bar", () => {
  const { written, clock, screen } = setUp({ isTTY: false });
  const progress = new Progress({ screen, total: 2, clock });
  progress.update(1);
  progress.line("agent-1: 20 steps");
  progress.update(2);
  progress.end();
  expect(written).toEqual(["agent-1: 20 steps\n"]);
});
