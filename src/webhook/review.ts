import { AgentRuntimeError } from "../state/errors.ts";
import { toObject } from "../state/fields.ts";
import type { Json, JsonObject } from "../state/json.ts";
import { isObject } from "../state/pointer.ts";
import { quote } from "../state/quote.ts";
import { injectInto } from "./inject.ts";
import type { SidecarSettings } from "./sidecar.ts";

/** How a question ended: `passed` where it is about no new pod. */
export type Outcome = "injected" | "unchanged" | "passed" | "refused";

export interface Review {
  readonly outcome: Outcome;
  /** The AdmissionReview that is answered. */
  readonly body: JsonObject;
  /** Why it was refused. */
  readonly why?: string;
}

const VERSION = "admission.k8s.io/v1";
const MAX_UID = 256;

/**
 * The answer to an AdmissionReview.
 *
 * @throws {AgentRuntimeError} INVALID_REQUEST: it is none, so that nobody can be answered.
 */
export function review(given: Json, settings: SidecarSettings): Review {
  const body = toObject(given, "the body");
  if (body["kind"] !== "AdmissionReview" || body["apiVersion"] !== VERSION) {
    const is = JSON.stringify([body["kind"], body["apiVersion"]]);
    throw bad(`this answers an AdmissionReview of ${VERSION}, not ${quote(is)}`);
  }
  const request = toObject(body["request"] ?? null, "request");
  const { uid } = request;
  if (typeof uid !== "string" || uid === "" || uid.length > MAX_UID) {
    throw bad(`request.uid must be text of 1 to ${MAX_UID} characters`);
  }
  if (!isNewPod(request)) return { outcome: "passed", body: answer({ uid, allowed: true }) };
  try {
    return allow(uid, request["object"] ?? null, settings);
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    const why = `agent_runtime webhook: ${error.message}`;
    const status = { code: 422, reason: "Invalid", message: why };
    return { outcome: "refused", why, body: answer({ uid, allowed: false, status }) };
  }
}

function allow(uid: string, object: Json, settings: SidecarSettings): Review {
  const { operations, warnings } = injectInto(object, settings);
  const told = warnings.length === 0 ? {} : { warnings: [...warnings] };
  if (operations.length === 0) {
    return { outcome: "unchanged", body: answer({ uid, allowed: true, ...told }) };
  }
  const patch = Buffer.from(JSON.stringify(operations)).toString("base64");
  const patched = { patchType: "JSONPatch", patch };
  return { outcome: "injected", body: answer({ uid, allowed: true, ...patched, ...told }) };
}

function isNewPod({ operation, resource, subResource }: JsonObject): boolean {
  if (operation !== "CREATE" || !isObject(resource)) return false;
  const isPod = resource["resource"] === "pods" && (resource["group"] ?? "") === "";
  return isPod && (subResource ?? "") === "";
}

function answer(response: JsonObject): JsonObject {
  return { apiVersion: VERSION, kind: "AdmissionReview", response };
}

function bad(why: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_REQUEST", why);
}
