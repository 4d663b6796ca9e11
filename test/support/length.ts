/**
 * How much a proof does: `short` in `npm test`, `full` in `npm run prove`.
 *
 * Both are the same test; the short one just repeats less.
 */
export function proofLength<Length>(lengths: {
  readonly short: Length;
  readonly full: Length;
}): Length {
  return process.env["PROVE"] === "full" ? lengths.full : lengths.short;
}
