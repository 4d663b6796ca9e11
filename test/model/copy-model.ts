/** What a scope held at each of its steps, and which of them are good: what its copy is measured by. */
export class CopyModel {
  /** The content at each step; at 0 there was nothing. */
  readonly contents: ReadonlyMap<string, number>[] = [new Map()];
  readonly quarantined = new Set<number>();
  held = false;

  get head(): number {
    return this.contents.length - 1;
  }

  get content(): ReadonlyMap<string, number> {
    return this.contents.at(-1)!;
  }

  /** The step that the copy is to hold once all is followed. */
  get promotable(): number {
    let step = this.head - 1;
    while (this.quarantined.has(step)) step--;
    return Math.max(step, 0);
  }

  /** One step: what it sets, and deletes (null). */
  commit(edits: ReadonlyMap<string, number | null>): void {
    const next = new Map(this.content);
    for (const [id, data] of edits) {
      if (data === null) next.delete(id);
      else next.set(id, data);
    }
    this.contents.push(next);
  }

  /** One step that holds what an earlier one held. */
  goBack(step: number, quarantined: readonly number[]): void {
    this.contents.push(this.contents[step]!);
    for (const each of quarantined) this.quarantined.add(each);
  }
}
