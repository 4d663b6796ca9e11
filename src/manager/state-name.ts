/** Names a state within this process: ids hold no control characters, so one can part the two. */
export function nameOf(namespace: string, id: string): string {
  return namespace === "default" ? id : `${namespace}\u001f${id}`;
}
