/** A page that carries documents ends with the one with which it has so many bytes of JSON text. */
export const PAGE_BYTES = 8 * 1024 * 1024;

/** Whether a page of documents ended because it was full, by its items or by their bytes, so that more may follow. */
export function isFull(texts: readonly (string | null)[], limit: number): boolean {
  if (texts.length === limit) return true;
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ""), 0);
  return bytes >= PAGE_BYTES;
}
