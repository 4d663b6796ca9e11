import type { Task } from "../../state/task.ts";
import type { Paint } from "../print/color.ts";
import { pad, printable, truncate } from "../print/text.ts";
import type { Screen } from "../terminal.ts";
import type { RecordedTask } from "./recorded-task.ts";
import { stepOf } from "./story.ts";
import type { StoryEvent } from "./story.ts";

const CLEAR_TO_END = "\u001b[J";
const STEPS_COLUMNS = 10;
const REASONS: Readonly<Record<string, string>> = {
  preempted: "gives way at its checkpoint: something newer came",
  fenced: "was taken from its worker: the lease is over",
};

export interface PictureOptions {
  readonly screen: Screen;
  readonly paint: Paint;
  readonly tasks: readonly RecordedTask[];
}

/**
 * The story for people: a line for all that happens, and below them the stack as the service has it. On a
 * terminal the stack stays at the bottom; elsewhere it is written where it changes.
 */
export class Picture {
  readonly #screen: Screen;
  readonly #paint: Paint;
  readonly #tasks: readonly RecordedTask[];
  #drawn = 0;

  constructor({ screen, paint, tasks }: PictureOptions) {
    this.#screen = screen;
    this.#paint = paint;
    this.#tasks = tasks;
  }

  /** `stack` as the service has it now; null while it is away. */
  show(event: StoryEvent, stack: readonly Task[] | null): void {
    const isLive = this.#screen.isTTY === true;
    const picture = isLive || event.what !== "step" ? this.#stackLines(stack) : [];
    const up = this.#drawn === 0 ? "" : `\u001b[${this.#drawn}A\r${CLEAR_TO_END}`;
    this.#screen.write(
      `${up}${[this.#line(event), ...picture].map((line) => `${line}\n`).join("")}`,
    );
    this.#drawn = isLive ? picture.length : 0;
  }

  #line(event: StoryEvent): string {
    const text = this.#fit(this.#sentence(event));
    if (event.what === "killed") return this.#paint("red", text);
    if (event.what === "back" || event.what === "ends") return this.#paint("green", text);
    return event.what === "step" ? text : this.#paint("yellow", text);
  }

  #sentence(event: StoryEvent): string {
    if ("pid" in event) {
      return event.what === "killed"
        ? `✗ the service is killed: process ${event.pid}, SIGKILL`
        : `✓ the service is back: process ${event.pid}`;
    }
    const { steps, request } = this.#tasks.find(({ name }) => name === event.task)!;
    if (event.what === "pushed") return `+ ${event.task} arrives: ${request}`;
    if (event.what === "step")
      return `  ${event.task} ${event.step} of ${steps.length}  ${event.did}`;
    if (event.what === "gives way")
      return `‖ ${event.task} ${REASONS[event.reason] ?? event.reason}`;
    if (event.what === "ends") return `■ ${event.task} is done`;
    return `▶ ${event.task} ${event.step === 1 ? "begins" : `goes on at step ${event.step}`}`;
  }

  #stackLines(stack: readonly Task[] | null): string[] {
    if (stack === null) return [this.#paint("dim", "  │ the stack is in the database")];
    if (stack.length === 0) return [this.#paint("dim", "  │ the stack is empty")];
    return stack.map((task, index) => {
      const edge =
        stack.length === 1 ? "╶" : index === 0 ? "┌" : index < stack.length - 1 ? "│" : "└";
      const line = this.#fit(`  ${edge} ${this.#taskText(task)}`);
      return task.phase === "working" ? this.#paint("bold", line) : this.#paint("dim", line);
    });
  }

  #taskText(task: Task): string {
    const known = this.#tasks.find(({ name }) => task.id.endsWith(`.${name}`));
    const of = known?.steps.length ?? 0;
    const done = Math.min(stepOf(task.resumePoint), of);
    const dots = pad("●".repeat(done) + "○".repeat(of - done), STEPS_COLUMNS);
    const who = task.lease === null ? "" : ` by ${task.lease.worker}`;
    return `${known?.name ?? task.id}  ${dots} checkpoint ${done} of ${of}  ${task.phase}${who}`;
  }

  #fit(text: string): string {
    const { columns } = this.#screen;
    const plain = printable(text);
    return columns === undefined ? plain : truncate(plain, Math.max(20, columns - 1));
  }
}
