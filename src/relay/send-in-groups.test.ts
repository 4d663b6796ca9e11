import { setImmediate } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { sendInGroups } from "./send-in-groups.ts";

test("as many sends as one likes listen for the end, and Node suspects no leak", async () => {
  const warnings: string[] = [];
  const warn = ({ message }: Error): number => warnings.push(message);
  process.on("warning", warn);
  onTestFinished(() => void process.off("warning", warn));
  const groups = Array.from({ length: 64 }, (_, group) => [group]);
  const options = { concurrency: 64, signal: new AbortController().signal };
  await sendInGroups(groups, options, async (_, ended) => {
    ended.addEventListener("abort", () => {});
  });
  await setImmediate(); // a warning comes a tick later
  expect(warnings).toEqual([]);
});
