/** Those who wait for something that may happen; each wait is for the next time only. */
export class Wakeups {
  #next: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** Resolves at the next `wake`. */
  next(): Promise<void> {
    if (this.#next === undefined) {
      let resolve!: () => void;
      const promise = new Promise<void>((settle) => (resolve = settle));
      this.#next = { promise, resolve };
    }
    return this.#next.promise;
  }

  wake(): void {
    this.#next?.resolve();
    this.#next = undefined;
  }
}
