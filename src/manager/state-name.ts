const SEPARATOR = "\u001f";

/**
 * Names a state within this process: one name a state. The id is whatever a caller sent, for memory is
 * asked before anybody checks it, and must not spell the name of another namespace's state.
 */
export function nameOf(namespace: string, id: string): string {
  if (namespace === "default" && !beginsOddly(id)) return id;
  return `${SEPARATOR}${namespace}${SEPARATOR}${id}`;
}

/** Callers in JavaScript hand in anything. */
function beginsOddly(id: unknown): boolean {
  return typeof id === "string" && id.startsWith(SEPARATOR);
}
