import type { CopyName, ReadFigures } from "../../state/ports.ts";

/** Why a read that a copy might have answered went to main. */
export type FallbackReason =
  "behind" | "conflict" | "unknown" | "open" | "schema" | "unreachable" | "refused";

/** Counts who answered the reads that a copy might have. */
export class ReadCounter {
  readonly #served = { readonly: 0, main: 0 };
  readonly #fallbacks = new Map<FallbackReason, number>();
  #retries = 0;

  get figures(): ReadFigures {
    return {
      served: { ...this.#served },
      retries: this.#retries,
      fallbacks: new Map(this.#fallbacks),
    };
  }

  /** Share of the reads that the replica answered; null before the first. */
  get servedShare(): number | null {
    const { readonly, main } = this.#served;
    return readonly + main === 0 ? null : readonly / (readonly + main);
  }

  countServed(by: CopyName, reads = 1): void {
    this.#served[by] += reads;
  }

  countRetry(): void {
    this.#retries++;
  }

  countFallback(reason: FallbackReason): void {
    this.#fallbacks.set(reason, (this.#fallbacks.get(reason) ?? 0) + 1);
  }
}
