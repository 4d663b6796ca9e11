import { AgentRuntimeError } from "./errors.ts";

/** Items of a page where its reader does not say. */
const DEFAULT_PAGE = 100;

/** A page that carries documents ends with the one with which it has so many bytes of JSON text. */
export const PAGE_BYTES = 8 * 1024 * 1024;

/** Whether a page of documents ended because it was full, by its items or by their bytes, so that more may follow. */
export function isFull(texts: readonly (string | null)[], limit: number): boolean {
  if (texts.length === limit) return true;
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ""), 0);
  return bytes >= PAGE_BYTES;
}

/** How many items a page is to have, from 1 to `most`. */
export function pageLimit(most: number, limit = Math.min(DEFAULT_PAGE, most)): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return limit;
  throw new AgentRuntimeError("INVALID_LIMIT", `A page has 1 to ${most} items, not ${limit}.`);
}
