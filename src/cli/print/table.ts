import { columnsOf, pad, printable, truncate } from "./text.ts";

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly align?: "right";
  /** Columns that it keeps when the terminal is narrow; unsaid, it never shrinks. */
  readonly atLeast?: number;
}

const GAP = "  ";

/**
 * The rows below their titles, as lines without a line end.
 *
 * @param width columns of the terminal; unsaid (a pipe, a file) nothing is cut.
 */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width?: number,
): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => printable(cell(row)))),
  ];
  const natural = columns.map((_, at) => Math.max(...cells.map((line) => columnsOf(line[at]!))));
  const widths = width === undefined ? natural : fit(columns, natural, width);
  return cells.map((line) =>
    line
      .map((cell, at) => {
        const side = columns[at]!.align === "right" ? "left" : "right";
        return pad(truncate(cell, widths[at]!), widths[at]!, side);
      })
      .join(GAP)
      .trimEnd(),
  );
}

/** Takes columns from the widest that may shrink, until the line fits or none may shrink further. */
function fit<Row>(
  columns: readonly Column<Row>[],
  natural: readonly number[],
  width: number,
): number[] {
  const widths = [...natural];
  const total = (): number =>
    widths.reduce((sum, each) => sum + each, GAP.length * (widths.length - 1));
  while (total() > width) {
    const spare = widths.map((each, at) => (each > (columns[at]!.atLeast ?? Infinity) ? each : 0));
    const widest = spare.indexOf(Math.max(...spare));
    if (spare[widest] === 0) break;
    widths[widest]! -= 1;
  }
  return widths;
}
