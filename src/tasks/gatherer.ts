interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export interface GathererOptions<Item, Answer> {
  /** Answers items that share a transaction, in their order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Answer[]>;
  /** Only items of one group go together. */
  readonly groupOf: (item: Item) => string;
  /** No two items of a batch may have one of these in common. */
  readonly keysOf: (item: Item) => readonly string[];
  readonly batchLimit: number;
  /** Batches that are under way at most. */
  readonly lanes: number;
}

/** Lets concurrent calls share a transaction: sends at once when it is free, and gathers while it is busy. */
export class Gatherer<Item, Answer> {
  readonly #options: GathererOptions<Item, Answer>;
  #queue: Waiting<Item, Answer>[] = [];
  #busy = 0;

  constructor(options: GathererOptions<Item, Answer>) {
    this.#options = options;
  }

  call(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      // What is called in the same turn goes together.
      if (this.#queue.length === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    while (this.#busy < this.#options.lanes && this.#queue.length > 0) {
      this.#busy++;
      void this.#send(this.#take()).finally(() => {
        this.#busy--;
        this.#flush();
      });
    }
  }

  /** The longest waiting item, and what may go with it. */
  #take(): Waiting<Item, Answer>[] {
    const { groupOf, keysOf, batchLimit } = this.#options;
    const group = groupOf(this.#queue[0]!.item);
    const keys = new Set<string>();
    const batch: Waiting<Item, Answer>[] = [];
    const rest: Waiting<Item, Answer>[] = [];
    for (const waiting of this.#queue) {
      const own = keysOf(waiting.item);
      const fits =
        batch.length < batchLimit &&
        groupOf(waiting.item) === group &&
        !own.some((key) => keys.has(key));
      (fits ? batch : rest).push(waiting);
      // Also of one that has to wait: what comes after it may not overtake it.
      for (const key of own) keys.add(key);
    }
    this.#queue = rest;
    return batch;
  }

  async #send(batch: readonly Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await this.#options.run(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => resolve(answers[index]!));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
