import { expect, test } from "vitest";
import { SessionMemory } from "./session-memory.ts";

const written = { namespace: "default", scope: "s", version: 1n };

test("the token for a state names it alone; that for many, the newest step of each scope", () => {
  const memory = new SessionMemory();
  memory.note(undefined, { ...written, id: "a", step: 1n });
  memory.note(undefined, { ...written, id: "b", step: 2n });
  memory.note(undefined, { ...written, id: "c", scope: "t", step: 1n });
  memory.note("other", { ...written, namespace: "other", id: "d", step: 1n });
  expect(memory.tokenFor(undefined, "a")).toBe("default/a@1:1/s");
  expect(memory.tokenForMany(undefined)).toBe("default/b@1:2/s,default/c@1:1/t");
  expect(memory.tokenForMany(undefined, "t")).toBe("default/c@1:1/t");
  expect(memory.tokenForMany("other")).toBe("other/d@1:1/s");
  expect(memory.tokenForMany("none")).toBeUndefined();
});

test("what it had to forget is told as unknown", () => {
  const memory = new SessionMemory(2);
  for (const id of ["a", "b", "c"]) memory.note(undefined, { ...written, id, step: 1n });
  expect(memory.tokenFor(undefined, "a")).toBe("*/*@1");
  expect(memory.tokenFor(undefined, "c")).toBe("default/c@1:1/s");
  expect(memory.tokenForMany(undefined)).toMatch(/^\*\/\*@1,/);
});
