import type { Spread } from "./measure/statistics.ts";

export type Unit = "/s" | "ms" | "s" | "MiB" | "B" | "MB" | "%";

/** What a figure is judged by. */
export interface Bar {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One line of the table. */
export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  readonly ours: Spread;
  readonly against?: { readonly name: string; readonly value: Spread };
  /** Ours by the other, round by round; where there is one, the bar is for it. */
  readonly ratio?: Spread;
  /** Null: for information. */
  readonly bar: Bar | null;
  /** What a reader needs to know beside it: what limits, what else was seen. */
  readonly notes?: readonly string[];
}

/** What the bar is held against. */
export function judged({ ratio, ours }: Figure): Spread {
  return ratio ?? ours;
}

/** Whether the median reaches the bar; null where there is none. */
export function isMet(figure: Figure): boolean | null {
  const { bar } = figure;
  if (bar === null) return null;
  const { median } = judged(figure);
  return median >= (bar.atLeast ?? -Infinity) && median <= (bar.atMost ?? Infinity);
}
