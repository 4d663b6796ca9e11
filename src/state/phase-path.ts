import { lifecycleOf } from "./lifecycle.ts";

/**
 * The phases on the shortest legal way to `to`, without `from`; undefined where there is none.
 *
 * @param from the phase it is in; null for a state that does not exist yet.
 * @param avoid phases that are not on the way.
 */
export function phasePath(
  type: string,
  {
    from,
    to,
    avoid = [],
  }: { readonly from: string | null; readonly to: string; readonly avoid?: readonly string[] },
): string[] | undefined {
  const lifecycle = lifecycleOf(type);
  if (lifecycle === null || !lifecycle.phases.includes(to)) return undefined;
  if (from === to) return [];
  const paths = from === null ? lifecycle.initial.map((phase) => [phase]) : [[from]];
  const seen = new Set(paths.map(([start]) => start!));
  // Breadth first: the list grows while it is walked.
  for (const path of paths) {
    const last = path.at(-1)!;
    if (last === to) return from === null ? path : path.slice(1);
    for (const [next, via] of Object.entries(lifecycle.transitions[last] ?? {})) {
      if (via !== "change" || seen.has(next) || avoid.includes(next)) continue;
      seen.add(next);
      paths.push([...path, next]);
    }
  }
  return undefined;
}
