import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { Child } from "./child.ts";
import { proofLength } from "./length.ts";
import { until, untilEvent } from "./until.ts";

test("until gives the first truthy value, past errors and empty ones", async () => {
  let calls = 0;
  const value = await until(() => {
    calls += 1;
    if (calls === 1) throw new Error("not there");
    return calls === 3 ? "here" : "";
  });
  expect([value, calls]).toEqual(["here", 3]);
});

test("until names what it waited for, and why the last try failed", async () => {
  const cause = new Error("connection refused");
  const waiting = until(() => Promise.reject(cause), { what: "the server", timeoutMs: 30 });
  await expect(waiting).rejects.toMatchObject({
    message: "the server did not come true in 30 ms",
    cause,
  });
});

test("untilEvent gives what the event carries, and gives up at its deadline", async () => {
  const emitter = new EventEmitter();
  const waiting = untilEvent(emitter, "ready");
  emitter.emit("ready", 7);
  expect(await waiting).toEqual([7]);
  await expect(untilEvent(emitter, "ready", { timeoutMs: 20 })).rejects.toThrow('"ready"');
});

test("a child's output, end and death are seen", async () => {
  const child = new Child(process.execPath, [
    "-e",
    "console.log('up'); setInterval(() => {}, 9e5)",
  ]);
  await child.says(/^up$/m);
  expect(await child.kill()).toEqual({ code: null, signal: "SIGKILL" });
});

test("a child that ends without its line is reported with what it said", async () => {
  const child = new Child(process.execPath, ["-e", "console.error('no room'); process.exit(3)"]);
  await expect(child.says(/ready/)).rejects.toThrow("no room");
  expect(await child.ended()).toEqual({ code: 3, signal: null });
});

test("a child reads the input it is given", async () => {
  const child = new Child("cat", [], { input: "line" });
  await child.ended();
  expect(child.stdout).toBe("line");
});

test("a proof is short unless the whole length is asked for", () => {
  const isFull = process.env["PROVE"] === "full";
  expect(proofLength({ short: 2, full: 20 })).toBe(isFull ? 20 : 2);
});
