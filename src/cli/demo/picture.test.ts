import { expect, test } from "vitest";
import type { Task } from "../../state/task.ts";
import { Picture } from "./picture.ts";

const tasks = [
  {
    name: "A",
    run: "r",
    request: "help\u001b[2J me",
    steps: Array.from({ length: 8 }, () => ({ did: "x", outcome: 0 })),
  },
];

function task(phase: string, step: number): Task {
  const lease = phase === "working" ? { worker: "w", until: new Date(0) } : null;
  return { id: "agent.A", phase, resumePoint: { step }, lease } as unknown as Task;
}

function screenOf(isTTY: boolean) {
  return {
    isTTY,
    columns: 60,
    text: "",
    write(text: string) {
      this.text += text;
      return true;
    },
    once: () => undefined,
    off: () => undefined,
  };
}

test("a stack says where each task is, and who works on it", () => {
  const screen = screenOf(false);
  const picture = new Picture({ screen: screen, paint: (_, text) => text, tasks });
  picture.show({ what: "begins", task: "A", step: 5 }, [task("working", 4)]);
  expect(screen.text.split("\n")).toEqual([
    "▶ A goes on at step 5",
    "  ╶ A  ●●●●○○○○   checkpoint 4 of 8  working by w",
    "",
  ]);
});

test("on a terminal the stack is drawn in place, and nothing recorded moves the cursor", () => {
  const screen = screenOf(true);
  const picture = new Picture({ screen: screen, paint: (_, text) => text, tasks });
  picture.show({ what: "pushed", task: "A" }, [task("ready", 0), task("suspended", 4)]);
  expect(screen.text).toContain("A arrives: help\\u{1b}[2J me");
  screen.text = "";
  picture.show({ what: "killed", pid: 7 }, null);
  expect(screen.text.startsWith("\u001b[2A\r\u001b[J✗ the service is killed: process 7")).toBe(
    true,
  );
  screen.text = "";
  picture.show({ what: "step", task: "A", step: 1, did: "thinks" }, [task("working", 0)]);
  expect(screen.text).toBe(
    "\u001b[1A\r\u001b[J  A 1 of 8  thinks\n  ╶ A  ○○○○○○○○   checkpoint 0 of 8  working by w\n",
  );
});
