/** What time it is; parts are given one, so that tests can turn it. */
export interface Clock {
  /** Milliseconds since 1970: for people and for stamps. It may jump. */
  now(): number;
  /** Milliseconds since some moment: for measuring. It never goes back. */
  monotonicMs(): number;
}

/** The clock of this machine. Nothing else reads the time: where it counts, the database says it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};
