import { expect, test } from "vitest";
import type { State } from "../state/state.ts";
import { exportHeader, exportLine, parseExportLine } from "./export-format.ts";
import { CommandFailed } from "./failure.ts";

const state: State = {
  namespace: "default",
  id: "task-1",
  type: "task",
  scope: "agent-1",
  version: 2n ** 60n,
  step: 7n,
  phase: "working",
  data: { text: "été 🚀", nested: [1, null, true] },
  digest: "ab".repeat(32),
  createdAt: new Date("2026-11-22T10:00:00Z"),
  updatedAt: new Date("2026-11-22T11:00:00Z"),
  expiresAt: new Date("2026-12-24T00:00:00Z"),
};

test("a line read back holds what can be imported", () => {
  expect(parseExportLine(exportLine(state))).toEqual({
    id: "task-1",
    type: "task",
    scope: "agent-1",
    phase: "working",
    expiresAt: state.expiresAt,
    data: state.data,
  });
});

test("a line keeps all 64 bits of the version it came from", () => {
  expect(JSON.parse(exportLine(state))).toMatchObject({
    version: "1152921504606846976",
    step: "7",
  });
});

test("what is null or left out in a line is left out of the write", () => {
  const { expiresAt: _, ...line } = JSON.parse(exportLine({ ...state, phase: null })) as object & {
    expiresAt: unknown;
  };
  expect(parseExportLine(JSON.stringify(line))).not.toHaveProperty("phase");
  expect(parseExportLine('{"id":"a","type":"note","data":null}')).toEqual({
    id: "a",
    type: "note",
    data: null,
  });
});

test("the header is no state", () => {
  expect(parseExportLine(exportHeader())).toBeUndefined();
});

test.each([
  ['{"format":"agent-runtime-state","formatVersion":2}', "another version"],
  ['{"format":"something else"}', "not an export of this program"],
])("a file with the header %s is refused as a whole", (line, says) => {
  expect(() => parseExportLine(line)).toThrow(CommandFailed);
  expect(() => parseExportLine(line)).toThrow(says);
});

test.each([
  ["nonsense", "INVALID_JSON"],
  ["[]", "INVALID_REQUEST"],
  ["null", "INVALID_REQUEST"],
  ['{"type":"note","data":1}', "INVALID_REQUEST"],
  ['{"id":7,"type":"note","data":1}', "INVALID_REQUEST"],
  ['{"id":"a","data":1}', "INVALID_REQUEST"],
  ['{"id":"a","type":"note"}', "INVALID_REQUEST"],
  ['{"id":"a","type":"note","data":1,"scope":5}', "INVALID_REQUEST"],
  ['{"id":"a","type":"note","data":1,"expiresAt":"soon"}', "INVALID_REQUEST"],
  ['{"id":"a","type":"note","data":1,"fase":"x"}', "UNKNOWN_FIELD"],
])("the line %s is refused", (line, code) => {
  expect(() => parseExportLine(line)).toThrow(expect.objectContaining({ code }));
});
