/** What a scope of the model holds of one state at one step. */
export interface ModelState {
  readonly data: number;
  /** Null: it is of a type that has none. */
  readonly phase: string | null;
}

type Content = ReadonlyMap<string, ModelState>;

/** What a rollback of the model comes to: the step that it restores, or why it does not. */
export type Way = { readonly restoredStep: number } | { readonly refused: string };

const TERMINAL: ReadonlySet<string> = new Set(["completed", "failed", "canceled", "rejected"]);

/** One scope, as simple as can be: the whole content of each step, and which steps are in quarantine. */
export class RollbackModel {
  /** Content by step; step 0 is before the first. */
  readonly contents: Content[] = [new Map()];
  readonly quarantined = new Set<number>();
  readonly versions = new Map<string, number>();
  /** The step whose content a rollback restored, by its own step. */
  readonly #restored = new Map<number, number>();
  /** The ids that each step changed. */
  readonly #changed: ReadonlySet<string>[] = [new Set()];
  held = false;

  get head(): number {
    return this.contents.length - 1;
  }

  get content(): Content {
    return this.contents[this.head]!;
  }

  /** A step that sets some states and removes others. */
  commit(changes: ReadonlyMap<string, ModelState | null>): void {
    const content = new Map(this.content);
    for (const [id, state] of changes) {
      if (state === null) content.delete(id);
      else content.set(id, state);
    }
    this.#append(content, new Set(changes.keys()));
  }

  /** Where a rollback leads, without going there; `toStep` null: one step back. */
  wayBack(toStep: number | null): Way {
    const target = toStep ?? this.#stepBefore();
    if (target >= this.head) return { refused: "STEP_NOT_FOUND" };
    if (this.quarantined.has(target)) return { refused: "STEP_QUARANTINED" };
    if (this.touched(target).length === 0) return { refused: "NO_EARLIER_STEP" };
    if (toStep === null && this.#effective(this.head) === 0) return { refused: "NO_EARLIER_STEP" };
    const undoes = this.touched(target).some((id) => this.#undoesAnEnd(id, target));
    return undoes ? { refused: "TERMINAL_PUBLISHED" } : { restoredStep: target };
  }

  /** Goes there. */
  goBack(target: number): void {
    const { head } = this;
    const touched = new Set(this.touched(target));
    for (let step = target + 1; step <= head; step++) this.quarantined.add(step);
    this.#append(this.contents[target]!, touched);
    this.#restored.set(this.head, target);
  }

  /** The states that changed after a step, but for those that are gone and were gone then. */
  touched(target: number): string[] {
    const ids = new Set(this.#changed.slice(target + 1).flatMap((changed) => [...changed]));
    const was = this.contents[target]!;
    return [...ids].filter((id) => this.content.has(id) || was.has(id));
  }

  #undoesAnEnd(id: string, target: number): boolean {
    const was = this.contents[target]!.get(id)?.phase;
    return this.contents.slice(target + 1).some((content, index) => {
      const phase = content.get(id)?.phase ?? null;
      const isOver = phase !== null && TERMINAL.has(phase) && phase !== was;
      return isOver && this.#changed[target + 1 + index]!.has(id);
    });
  }

  #append(content: Content, changed: ReadonlySet<string>): void {
    this.contents.push(content);
    this.#changed.push(changed);
    for (const id of changed) this.versions.set(id, (this.versions.get(id) ?? 0) + 1);
  }

  /** The step whose content a step holds. */
  #effective(step: number): number {
    const restored = this.#restored.get(step);
    return restored === undefined ? step : this.#effective(restored);
  }

  #stepBefore(): number {
    let step = this.#effective(this.head) - 1;
    while (this.quarantined.has(step)) step--;
    return Math.max(step, 0);
  }
}
