import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseEvent } from "../state/event.ts";
import type { CloudEvent } from "../state/event.ts";
import { textIn, toObject } from "../state/fields.ts";
import { parseJsonText } from "../state/json-text.ts";
import type { Json } from "../state/json.ts";
import { quote } from "../state/quote.ts";
import { parseBatchEntry } from "../state/request-json.ts";
import type { Changeset } from "../state/request.ts";

export const UPDATE = "dev.agentruntime.state.update.v1";
export const STEP = "dev.agentruntime.state.step.v1";

/** The largest message that a broker takes. */
export const MESSAGE_BYTES = 4 * 1024 * 1024;

/** Levels that an event adds around a document: the event, `data`, `changes`, one of them, its own. */
const ENVELOPE_DEPTH = 5;

export interface UpdateLimits {
  /** The largest message, in bytes. */
  readonly bodyBytes: number;
  readonly dataDepth: number;
  readonly changesetChanges: number;
}

/** What is known of a message, however much of it could be understood. */
export interface ReadMessage {
  /** What names it, whoever delivers it how often. */
  readonly messageId: string;
  readonly namespace: string;
  /** What it asks for; a refusal where that can never be done. */
  readonly asked: Changeset | AgentRuntimeError;
}

/**
 * An update that came as a CloudEvent: `update.v1` with what the body of `PUT /v1/states/{id}` has and the
 * `id` beside it, or `step.v1` with what the body of `POST /v1/scopes/{scope}/steps` has and the `scope`.
 *
 * @param brokerId names the message where its event does not.
 */
export function readUpdate(body: Uint8Array, brokerId: string, limits: UpdateLimits): ReadMessage {
  let known = { messageId: brokerId, namespace: "default" };
  try {
    const event = parseEvent(parseBody(body, limits));
    const { namespace = known.namespace } = event;
    known = { messageId: nameOf(event), namespace };
    return { ...known, asked: changesetOf(event, known, limits) };
  } catch (error) {
    if (error instanceof AgentRuntimeError) return { ...known, asked: error };
    throw error;
  }
}

function parseBody(body: Uint8Array, { bodyBytes, dataDepth }: UpdateLimits): Json {
  if (!isUtf8(body)) {
    throw new AgentRuntimeError("INVALID_JSON", "the message is not UTF-8; encode it as UTF-8");
  }
  const text = Buffer.from(body).toString("utf8");
  return parseJsonText(text, { dataBytes: bodyBytes, dataDepth: dataDepth + ENVELOPE_DEPTH });
}

function changesetOf(
  event: CloudEvent,
  { messageId, namespace }: { readonly messageId: string; readonly namespace: string },
  limits: UpdateLimits,
): Changeset {
  const { type, subject, data } = event;
  if (type !== UPDATE && type !== STEP) {
    throw new AgentRuntimeError(
      "INVALID_REQUEST",
      `${quote(type)} is no event that is taken in: send ${UPDATE} or ${STEP}`,
      { field: "type" },
    );
  }
  const given = toObject((data ?? null) as Json, "the event's data");
  const isStep = type === STEP;
  if (isStep !== (given["changes"] !== undefined) || given["op"] !== undefined) {
    throw new AgentRuntimeError(
      "INVALID_REQUEST",
      isStep
        ? `a step has "changes", as the body of POST /v1/scopes/{scope}/steps has`
        : `an update has the fields of PUT /v1/states/{id}, and "id"; several changes are a ${STEP}`,
    );
  }
  const scope = isStep ? (textIn(given, "scope", "INVALID_SCOPE") ?? subject) : undefined;
  const changeset = parseBatchEntry(given, limits.changesetChanges);
  const idempotencyKey = changeset.idempotencyKey ?? messageId;
  return { ...changeset, ...definedOnly({ scope }), namespace, idempotencyKey };
}

/** Source and id name an event (CloudEvents 1.0); of any length and content, so their digest stands for them. */
function nameOf({ source, id }: CloudEvent): string {
  return `event ${createHash("sha256")
    .update(JSON.stringify([source, id]))
    .digest("hex")}`;
}
