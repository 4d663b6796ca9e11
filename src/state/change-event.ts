import { changeJson } from "./change-json.ts";
import { definedOnly } from "./defined.ts";
import { eventBody, eventProperties } from "./event.ts";
import type { OutgoingMessage } from "./message-bus.ts";
import type { Change } from "./state.ts";

export const CHANGED = "dev.agentruntime.state.changed.v1";

/** Where the events of this program come from. */
export const SOURCE = "/agent-runtime-state";

export interface ChangeEventOptions {
  readonly topic: string;
  /** A message that would be larger carries the digest and the version in place of the document. */
  readonly maxInlineBytes: number;
}

/** The message that tells of a change: a CloudEvent, in order within the change's scope. */
export function changeMessage(change: Change, options: ChangeEventOptions): OutgoingMessage {
  const { namespace, scope, step, id, type, at, traceparent } = change;
  const event = {
    id: `${namespace}/${scope}/${step}/${id}`,
    source: SOURCE,
    type: CHANGED,
    subject: id,
    time: at.toISOString(),
    ...definedOnly({ traceparent }),
    data: changeJson(change),
  };
  let body = eventBody(event);
  if (body.byteLength > options.maxInlineBytes) {
    const { data: _data, patch: _patch, ...small } = change;
    body = eventBody({ ...event, data: changeJson(small) });
  }
  return {
    topic: options.topic,
    body,
    group: scopeGroup(namespace, scope),
    tag: type,
    keys: [event.id, id, scope],
    properties: eventProperties(event),
  };
}

const SENT_PREFIX = "out ";

/** By which a message is known that could not be sent: no name of one that came in looks like it. */
export function nameOfSent({ keys: [eventId = ""] = [] }: OutgoingMessage): string {
  return SENT_PREFIX + eventId;
}

/** Whether a parked message could not be sent, and is none that came in. */
export function isNameOfSent(messageId: string): boolean {
  return messageId.startsWith(SENT_PREFIX);
}

/** Which messages come one after the other: those of one scope. */
export function scopeGroup(namespace: string, scope: string): string {
  return namespace === "default" ? scope : `${namespace}/${scope}`;
}
