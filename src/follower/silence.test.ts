import { expect, test } from "vitest";
import { Silence } from "./silence.ts";

test("an answer that is owed for too long is told of, until it comes", async () => {
  const silence = new Silence(0);
  expect(silence.reason).toBeUndefined();
  let answer = (): void => undefined;
  const call = silence.during(() => new Promise<void>((resolve) => (answer = resolve)));
  expect(silence.reason).toMatch(/has not answered/);
  answer();
  await call;
  expect(silence.reason).toBeUndefined();
});

test("an answer may take its time, and a refusal is one", async () => {
  const silence = new Silence();
  const call = silence.during(() => Promise.reject(new Error("no")));
  expect(silence.reason).toBeUndefined();
  await expect(call).rejects.toThrow("no");
  expect(silence.reason).toBeUndefined();
});
