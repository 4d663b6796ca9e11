import type { ChangeKind } from "../state/state.ts";

const KINDS: Readonly<Record<string, ChangeKind>> = {
  u: "update",
  d: "delete",
  r: "rollback",
  p: "repair",
};

/** The kind that the log's letter stands for. */
export function changeKind(letter: string): ChangeKind {
  const kind = KINDS[letter];
  if (kind === undefined) throw new TypeError(`the log holds a change of unknown kind "${letter}"`);
  return kind;
}
