import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseEvent } from "../state/event.ts";
import type { CloudEvent } from "../state/event.ts";
import { checkNamespace } from "../state/identifiers.ts";
import { parseJsonText } from "../state/json-text.ts";
import type { Json } from "../state/json.ts";
import type { ReadMessage } from "../state/message-kind.ts";

/** The largest message that a broker takes. */
export const MESSAGE_BYTES = 4 * 1024 * 1024;

/** Levels that an event adds around a document: the event, `data`, `changes`, one of them, its own. */
const ENVELOPE_DEPTH = 5;

export interface EventLimits {
  /** The largest message, in bytes. */
  readonly bodyBytes: number;
  readonly dataDepth: number;
}

/** What a message is known by. */
export type Known = Omit<ReadMessage, "work">;

/**
 * A message that is a CloudEvent.
 *
 * @param brokerId names it where its event does not.
 * @param workOf what it asks for; what it throws refuses it for good.
 */
export function readEvent(
  body: Uint8Array,
  { brokerId, limits }: { readonly brokerId: string; readonly limits: EventLimits },
  workOf: (event: CloudEvent, known: Known) => Exclude<ReadMessage["work"], AgentRuntimeError>,
): ReadMessage {
  let known: Known = { messageId: brokerId, namespace: "default" };
  try {
    const event = parseEvent(parseBody(body, limits));
    const { traceparent } = event;
    known = { ...known, messageId: nameOf(event), ...definedOnly({ traceparent }) };
    // One that none can be is refused here: parked under that name, nobody could ask for the message.
    if (event.namespace !== undefined) {
      known = { ...known, namespace: checkNamespace(event.namespace) };
    }
    return { ...known, work: workOf(event, known) };
  } catch (error) {
    if (error instanceof AgentRuntimeError) return { ...known, work: error };
    throw error;
  }
}

function parseBody(body: Uint8Array, { bodyBytes, dataDepth }: EventLimits): Json {
  if (!isUtf8(body)) {
    throw new AgentRuntimeError("INVALID_JSON", "the message is not UTF-8; encode it as UTF-8");
  }
  const text = Buffer.from(body).toString("utf8");
  return parseJsonText(text, { dataBytes: bodyBytes, dataDepth: dataDepth + ENVELOPE_DEPTH });
}

/** Source and id name an event (CloudEvents 1.0); of any length and content, so their digest stands for them. */
function nameOf({ source, id }: CloudEvent): string {
  return `event ${createHash("sha256")
    .update(JSON.stringify([source, id]))
    .digest("hex")}`;
}
