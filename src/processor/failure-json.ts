import type { JsonObject } from "../state/json.ts";
import { ChildFailed } from "./interruption.ts";

/** What a message may have at most: it is stored, and told to the parent. */
const MESSAGE_CHARACTERS = 2_000;
/** Causes of causes that are told; they may go round in a circle. */
const MAX_CAUSES = 3;

/** What a handler threw, as the error of its task: without its stack, which says more than readers may know. */
export function failureJson(thrown: unknown): JsonObject {
  try {
    return readFailure(thrown);
  } catch {
    // A getter that throws, a proxy that was revoked: the task has failed all the same.
    return { message: "the handler threw what cannot be read" };
  }
}

function readFailure(thrown: unknown, causes = MAX_CAUSES): JsonObject {
  if (!(thrown instanceof Error)) return { message: messageOf(thrown) };
  const { code, cause } = thrown as { readonly code?: unknown; readonly cause?: unknown };
  return {
    name: clip(thrown.name),
    message: clip(thrown.message),
    ...(typeof code === "string" ? { code: clip(code) } : {}),
    ...(Number.isFinite(code) ? { code: code as number } : {}),
    ...(thrown instanceof ChildFailed ? { child: thrown.id, phase: thrown.phase } : {}),
    // Why it was: an HTTP client often says no more than that it failed.
    ...(cause instanceof Error && causes > 0 ? { cause: readFailure(cause, causes - 1) } : {}),
  };
}

function messageOf(thrown: unknown): string {
  if (typeof thrown === "string") return clip(thrown);
  try {
    return clip(`the handler threw ${JSON.stringify(thrown) ?? String(thrown)}`);
  } catch {
    return "the handler threw what is no JSON";
  }
}

/** No text that a database refuses. */
function clip(text: unknown): string {
  return String(text).slice(0, MESSAGE_CHARACTERS).toWellFormed().replaceAll("\0", "\uFFFD");
}
