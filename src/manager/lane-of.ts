/** The lane of a scope: FNV-1a over its characters, the same in every call of a process. */
export function laneOf(namespace: string, scope: string, lanes: number): number {
  if (lanes === 1) return 0;
  let hash = 0x811c9dc5;
  for (let index = 0; index < namespace.length; index++) {
    hash = Math.imul(hash ^ namespace.charCodeAt(index), 0x01000193);
  }
  for (let index = 0; index < scope.length; index++) {
    hash = Math.imul(hash ^ scope.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % lanes;
}
