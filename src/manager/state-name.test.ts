import { expect, test } from "vitest";
import { nameOf } from "./state-name.ts";

test("no two states share a name, whatever an id is spelled like", () => {
  const ids = ["a", "other\u001fa", "\u001fother\u001fa", "\u001fdefault\u001fa", "\u001f", ""];
  const names = ["default", "other"].flatMap((namespace) => ids.map((id) => nameOf(namespace, id)));
  expect(new Set(names).size).toBe(names.length);
  expect(nameOf("default", "a")).toBe("a");
});
