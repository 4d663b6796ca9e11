import { systemClock } from "../../service/clock.ts";
import type { Clock } from "../../service/clock.ts";
import type { Screen } from "../terminal.ts";
import { columnsOf, truncate } from "./text.ts";

export interface ProgressOptions {
  readonly screen: Screen;
  /** No lines for people, where a program reads. */
  readonly isQuiet?: boolean;
  /** What is full; undefined where nobody knows. */
  readonly total: number | undefined;
  readonly clock?: Clock;
}

const REDRAW_MS = 100;
const BAR_COLUMNS = 24;
const MIN_COLUMNS = 20;
const CLEAR_LINE = "\r\u001b[K";

/**
 * A bar on a terminal, redrawn in place; nothing on anything else.
 *
 * Lines for people go through `line`, which keeps the bar below them.
 */
export class Progress {
  readonly #screen: Screen;
  readonly #total: number | undefined;
  readonly #clock: Clock;
  readonly #isQuiet: boolean;
  #done = 0;
  #note = "";
  #drawnAtMs = -Infinity;
  #isDrawn = false;

  constructor({ screen, total, clock = systemClock, isQuiet = false }: ProgressOptions) {
    this.#screen = screen;
    this.#total = total;
    this.#clock = clock;
    this.#isQuiet = isQuiet;
  }

  /** Shows how far it is; draws at most ten times a second. */
  update(done: number, note = ""): void {
    this.#done = done;
    this.#note = note;
    const now = this.#clock.monotonicMs();
    if (now - this.#drawnAtMs < REDRAW_MS) return;
    this.#drawnAtMs = now;
    this.#draw();
  }

  /** Writes a line above the bar; also where there is no bar. */
  line(text: string): void {
    if (this.#isQuiet) return;
    this.#clear();
    this.#screen.write(`${text}\n`);
    if (this.#drawnAtMs > -Infinity) this.#draw();
  }

  /** Takes the bar away: what comes next stands where it stood. */
  end(): void {
    this.#clear();
  }

  #draw(): void {
    if (this.#screen.isTTY !== true) return;
    const width = Math.max(MIN_COLUMNS, this.#screen.columns ?? 80);
    this.#screen.write(CLEAR_LINE + truncate(this.#text(), width - 1));
    this.#isDrawn = true;
  }

  #clear(): void {
    if (!this.#isDrawn) return;
    this.#screen.write(CLEAR_LINE);
    this.#isDrawn = false;
  }

  #text(): string {
    if (this.#total === undefined) return this.#note;
    const share = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total);
    const full = Math.floor(share * BAR_COLUMNS);
    const bar = "█".repeat(full) + "░".repeat(BAR_COLUMNS - full);
    const percent = `${Math.floor(share * 100)}%`.padStart(4);
    return columnsOf(this.#note) === 0 ? `${bar} ${percent}` : `${bar} ${percent}  ${this.#note}`;
  }
}
