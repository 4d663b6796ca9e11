import fc from "fast-check";
import { PREEMPTS } from "../../src/state/task.ts";
import { STACKS } from "./task-model.ts";

const WORKERS = ["v", "w"] as const;

/** What a holder may say. */
export const REPORTS = [
  "checkpoint",
  "checkpoint",
  "suspend",
  "release",
  "wait",
  "wait",
  "complete",
  "fail",
  "reject",
] as const;

/** One thing that happens to tasks. */
export interface Act {
  readonly do:
    | "push"
    | "claim"
    | "report"
    | "next"
    | "together"
    | "zombie"
    | "crash"
    | "due"
    | "event"
    | "input"
    | "cancel"
    | "retry";
  readonly stack: string;
  readonly worker: string;
  readonly report: (typeof REPORTS)[number];
  readonly event: string;
  readonly priority: number;
  readonly preempt: (typeof PREEMPTS)[number];
  readonly isChild: boolean;
  readonly delayed: boolean;
  /** Which of those that it may be about. */
  readonly pick: number;
}

export const act = fc.record<Act>({
  do: fc.constantFrom(
    ...([
      "push",
      "push",
      "push",
      "claim",
      "claim",
      "claim",
      "report",
      "report",
      "report",
      "report",
      "next",
      "together",
    ] as const),
    ...(["zombie", "crash", "due", "event", "input", "cancel", "retry"] as const),
  ),
  stack: fc.constantFrom(...STACKS),
  worker: fc.constantFrom(...WORKERS),
  report: fc.constantFrom(...REPORTS),
  event: fc.constantFrom("x", "child", "child", "timer", "input"),
  priority: fc.constantFrom(0, 0, 0, 1),
  preempt: fc.constantFrom("step", ...PREEMPTS),
  isChild: fc.boolean(),
  delayed: fc.constantFrom(false, false, false, true),
  pick: fc.nat(20),
});

const plain: Act = {
  do: "push",
  stack: STACKS[0],
  worker: "v",
  report: "complete",
  event: "",
  priority: 0,
  preempt: "step",
  isChild: false,
  delayed: false,
  pick: 0,
};
const report = (one: Act["report"], event = ""): Act => {
  return { ...plain, do: "report", report: one, event };
};
const once = (one: Act["do"]): Act => ({ ...plain, do: one });

/** What random acts meet too seldom to be sure of it: each case once, whatever the seed. */
export const RARE: readonly (readonly Act[])[] = [
  [plain, plain, once("claim"), once("next"), once("next"), once("next")],
  [plain, once("claim"), report("wait", "input"), once("input"), once("claim"), report("complete")],
  [plain, once("claim"), report("wait", "x"), { ...once("event"), event: "x" }, once("cancel")],
  [plain, once("claim"), once("cancel"), { ...plain, isChild: true }, report("checkpoint")],
  [plain, once("claim"), report("checkpoint"), report("release"), once("claim"), report("suspend")],
  [plain, once("claim"), report("fail"), once("retry"), once("claim"), report("reject")],
  [{ ...plain, delayed: true }, once("due"), once("claim"), once("crash"), once("zombie")],
  [
    plain,
    { ...plain, stack: STACKS[1] },
    ...STACKS.map((stack) => ({ ...once("claim"), stack })),
    once("together"),
  ],
  [once("report")],
  // The same two points again and again, a crash after each: that is no progress.
  [
    plain,
    ...["x", "", "x", "", "x"].flatMap((point) => [
      once("claim"),
      report("checkpoint", point),
      once("crash"),
    ]),
    once("retry"),
    once("claim"),
    report("checkpoint", "new"),
    once("crash"),
  ],
];
