import { formatTable } from "../src/cli/print/table.ts";
import { isMet, judged } from "./figure.ts";
import type { Figure, Unit } from "./figure.ts";
import type { Spread } from "./measure/statistics.ts";

/** The figures as lines: what was measured, against what, and whether that is enough. */
export function formatFigures(figures: readonly Figure[]): string[] {
  const table = formatTable(
    [
      { title: "figure", cell: ({ name }) => name },
      { title: "ours", cell: ({ ours, unit }) => formatValue(ours.median, unit), align: "right" },
      { title: "against", cell: formatAgainst },
      { title: "ratio", cell: ({ ratio }) => (ratio ? times(ratio.median) : ""), align: "right" },
      { title: "min..max", cell: (figure) => formatSpread(figure, judged(figure)) },
      { title: "bar", cell: formatBar },
      {
        title: "met",
        cell: (figure) => ({ true: "yes", false: "NO", null: "" })[`${isMet(figure)}`],
      },
    ],
    figures,
  );
  const notes = figures.flatMap(({ name, notes: lines = [] }) =>
    lines.map((line) => `- ${name}: ${line}`),
  );
  return notes.length === 0 ? table : [...table, "", ...notes];
}

function formatAgainst({ against, unit }: Figure): string {
  return against === undefined ? "" : `${formatValue(against.value.median, unit)} ${against.name}`;
}

function formatSpread({ ratio, unit }: Figure, { min, max, rounds }: Spread): string {
  if (rounds.length === 1) return "";
  const format = (value: number): string =>
    ratio ? value.toFixed(2) : formatValue(value, unit).replace(/ .*|\/s$/, "");
  return `${format(min)}..${format(max)}`;
}

function formatBar({ bar, ratio, unit }: Figure): string {
  const format = (value: number): string =>
    ratio ? `${value} ×` : formatValue(value, unit).replace(/\.0+(?=\D)/, "");
  if (bar?.atLeast !== undefined) return `≥ ${format(bar.atLeast)}`;
  if (bar?.atMost !== undefined) return `≤ ${format(bar.atMost)}`;
  return "";
}

function formatValue(value: number, unit: Unit): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const text = value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return unit === "/s" ? `${text}/s` : `${text} ${unit}`;
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)} ×`;
}
