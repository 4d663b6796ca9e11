import { expect, test } from "vitest";
import { formatTable } from "./table.ts";
import type { Column } from "./table.ts";
import { columnsOf } from "./text.ts";

interface Row {
  readonly id: string;
  readonly count: number;
  readonly note: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: "ID", cell: ({ id }) => id, atLeast: 4 },
  { title: "COUNT", cell: ({ count }) => String(count), align: "right" },
  { title: "NOTE", cell: ({ note }) => note, atLeast: 6 },
];

const ROWS: readonly Row[] = [
  { id: "a", count: 7, note: "short" },
  { id: "agent-with-a-long-id", count: 12345, note: "also a rather long note" },
];

test("columns stand below their titles, numbers to the right", () => {
  expect(formatTable(COLUMNS, ROWS)).toEqual([
    "ID                    COUNT  NOTE",
    "a                         7  short",
    "agent-with-a-long-id  12345  also a rather long note",
  ]);
});

test("on a narrow terminal the widest columns give way, and numbers stay whole", () => {
  const lines = formatTable(COLUMNS, ROWS, 32);
  expect(lines).toEqual([
    "ID           COUNT  NOTE",
    "a                7  short",
    "agent-with…  12345  also a rath…",
  ]);
  for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(32);
});

test("no column goes below what it keeps, however narrow the terminal is", () => {
  expect(formatTable(COLUMNS, ROWS, 1).at(-1)).toBe("age…  12345  also …");
});

test("what a cell holds cannot break the table", () => {
  const lines = formatTable(COLUMNS, [{ id: "a\nb\u001b[31m", count: 1, note: "" }]);
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain("a\\u{a}b\\u{1b}[31m");
});
