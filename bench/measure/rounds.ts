/** One that takes part: runs for one slice, and says what it measured. */
export type Contender<Measured> = () => Promise<Measured>;

export interface RoundsOptions {
  readonly rounds: number;
  readonly signal: AbortSignal;
  /** Told before each slice. */
  readonly progress: (text: string) => void;
}

/**
 * Contenders take turns in short slices: A B C, A B C, ...
 *
 * A machine's speed wanders, by a factor of two and more where it is shared. What is compared must
 * therefore be measured within seconds, and compared round by round.
 */
export async function takeTurns<Name extends string, Measured>(
  contenders: Readonly<Record<Name, Contender<Measured>>>,
  { rounds, signal, progress }: RoundsOptions,
): Promise<Record<Name, Measured[]>> {
  const names = Object.keys(contenders) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as Measured[]]));
  for (let round = 1; round <= rounds; round++) {
    for (const name of names) {
      signal.throwIfAborted();
      progress(`round ${round} of ${rounds}: ${name}`);
      results[name]!.push(await contenders[name]());
    }
  }
  return results as Record<Name, Measured[]>;
}
