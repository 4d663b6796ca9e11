/** Tells other processes that there is something new: a hint, which may be lost. */
export interface Bell {
  ring(): void;
  /** Calls whenever another process rang, and once it hears them. */
  listen(onRing: () => void): void;
}
