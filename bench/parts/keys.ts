/** States share a scope by tens, as those of an agent do. */
const STATES_PER_SCOPE = 10;

export const TYPE = "task";

/** The id of a state; they count from 1. */
export function idOf(key: number): string {
  return `task-${key}`;
}

export function scopeOf(key: number): string {
  return `agent-${Math.ceil(key / STATES_PER_SCOPE)}`;
}

/** One of the keys 1 to `keys` that belong to this caller alone, chosen evenly by `random`. */
export function ownKey(
  caller: number,
  callers: number,
  choose: { readonly keys: number; readonly random: (below: number) => number },
): number {
  const own = Math.floor((choose.keys - caller - 1) / callers) + 1;
  return 1 + caller + callers * choose.random(own);
}
