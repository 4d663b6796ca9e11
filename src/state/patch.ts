import { AgentRuntimeError } from "./errors.ts";
import type { Json } from "./json.ts";
import { PatchEditor } from "./patch-editor.ts";
import { parsePointer } from "./pointer.ts";
import { quote } from "./quote.ts";
import type { PatchOperation } from "./state.ts";

/** More go into several patches: each operation may cost a copy of what it changes. */
const MAX_OPERATIONS = 1_000;

/**
 * The document after RFC 6902 operations, all of them; parts that they do not touch are shared.
 *
 * @throws {AgentRuntimeError} INVALID_PATCH with the number of the operation, counted from 0.
 */
export function applyPatch(document: Json, operations: readonly PatchOperation[]): Json {
  const editor = new PatchEditor(document);
  for (const [number, operation] of operations.entries()) {
    const why = editor.apply(operation);
    if (why !== undefined) throw inapplicable(number, operation, why);
  }
  return editor.document;
}

/**
 * A patch that somebody sent: its operations, with the fields that RFC 6902 knows and no others.
 *
 * @throws {AgentRuntimeError} INVALID_PATCH with the number of the operation, counted from 0.
 */
export function checkPatch(patch: unknown): PatchOperation[] {
  if (!Array.isArray(patch)) {
    throw invalid("a JSON Patch is an array of operations: [{ op, path, value }]");
  }
  if (patch.length > MAX_OPERATIONS) {
    throw invalid(`a JSON Patch has ${MAX_OPERATIONS} operations at most; send it in parts`);
  }
  return patch.map(checkOperation);
}

/**
 * What is appended, and how deep in the document its array is.
 *
 * @throws {AgentRuntimeError} INVALID_PATCH.
 */
export function checkAppend(path: string, items: unknown): number {
  if (!Array.isArray(items)) throw invalid("`items` is an array of what is appended.");
  return parsePointer(path).length;
}

function checkOperation(operation: unknown, number: number): PatchOperation {
  if (typeof operation !== "object" || operation === null || Array.isArray(operation)) {
    throw invalid(`operation ${number} is an object: { op, path, value }`);
  }
  const fields = operation as Record<string, unknown>;
  const path = checkPointer(fields, "path", number);
  const { op } = fields as { op: unknown };
  if (op === "remove") return { op, path };
  if (op === "move" || op === "copy") {
    return { op, from: checkPointer(fields, "from", number), path };
  }
  if (op === "add" || op === "replace" || op === "test") {
    if (Object.hasOwn(fields, "value") && fields["value"] !== undefined) {
      return { op, path, value: fields["value"] as Json };
    }
    throw invalid(`operation ${number} (${op} ${quote(path)}) has no value; null is one`);
  }
  const shown = typeof op === "string" ? quote(op) : "nothing";
  const known = "add, remove, replace, move, copy or test";
  throw invalid(`operation ${number} has as its op ${shown}; it is one of ${known}`);
}

function checkPointer(fields: Record<string, unknown>, name: string, number: number): string {
  const pointer = fields[name];
  if (typeof pointer !== "string") {
    throw invalid(`operation ${number} has no ${name}, which is a JSON Pointer such as "/a/0"`);
  }
  if (parsePointer(pointer).includes("__proto__")) {
    throw invalid(`operation ${number} names "__proto__", which no document may hold`);
  }
  return pointer;
}

function inapplicable(number: number, operation: PatchOperation, why: string): AgentRuntimeError {
  return invalid(`operation ${number} (${operation.op} ${quote(operation.path)}): ${why}`);
}

function invalid(why: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_PATCH", why);
}
