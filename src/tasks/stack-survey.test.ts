import { expect, test } from "vitest";
import { silentLog } from "../service/log.ts";
import type { SurveyedStack } from "../state/task-port.ts";
import { StackSurvey } from "./stack-survey.ts";

function stacksOf(count: number, waitedMs = 0): SurveyedStack[] {
  return Array.from({ length: count }, (_, index) => ({
    stackNo: BigInt(index + 1),
    namespace: "n",
    stack: `s${index}`,
    waiting: index % 3,
    lowest: { id: `t${index}`, waitedMs },
  }));
}

function surveyOf(
  stacks: () => readonly SurveyedStack[],
  ageingMs: number,
): { readonly survey: StackSurvey; readonly told: string[] } {
  const told: string[] = [];
  const log = {
    ...silentLog,
    warn: (fields: object) => void told.push((fields as { task: string }).task),
  };
  const store = {
    survey: (after: bigint, limit: number) =>
      Promise.resolve(
        stacks()
          .filter(({ stackNo }) => stackNo > after)
          .slice(0, limit),
      ),
  };
  return { survey: new StackSurvey({ store, ageingMs, log }), told };
}

test("figures are those of all stacks, once all were looked at", async () => {
  const { survey } = surveyOf(() => stacksOf(600, 5), 0);
  await survey.step();
  await survey.step();
  expect(survey.figures.waiting).toBe(0);
  await survey.step();
  expect(survey.figures).toEqual({ waiting: 600, deepest: 2, oldestMs: 5, aged: 0 });
});

test("a task that waits too long is told once, and again when it moved and waits too long again", async () => {
  let waitedMs = 3;
  const { survey, told } = surveyOf(() => stacksOf(1, waitedMs), 2);
  const round = async (): Promise<void> => {
    await survey.step();
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await round();
  await round();
  expect(told).toEqual(["t0"]);
  expect(survey.figures.aged).toBe(1);
  waitedMs = 1;
  await round();
  expect(survey.figures.aged).toBe(0);
  waitedMs = 3;
  await round();
  expect(told).toEqual(["t0", "t0"]);
});

test("it rests between two rounds", async () => {
  let calls = 0;
  const { survey } = surveyOf(() => {
    calls++;
    return [];
  }, 60_000);
  await survey.step();
  await survey.step();
  expect(calls).toBe(1);
});
