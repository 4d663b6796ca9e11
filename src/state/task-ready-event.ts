import { definedOnly } from "./defined.ts";
import { SOURCE } from "./change-event.ts";
import { eventBody, eventProperties } from "./event.ts";
import type { OutgoingMessage } from "./message-bus.ts";
import { isObject } from "./pointer.ts";
import type { Change } from "./state.ts";

export const TASK_READY = "dev.agentruntime.task.ready.v1";

/**
 * The message that wakes up workers: there may be something to claim. Null: this change made no task ready.
 *
 * It is never the truth: it may come twice, late, or not at all, and the task may be taken by then. A claim says.
 */
export function taskReadyMessage(change: Change, topic: string): OutgoingMessage | null {
  const { namespace, scope, step, id, type, phase, at, data, traceparent } = change;
  if (type !== "task" || phase !== "ready") return null;
  const kind = isObject(data) && typeof data["kind"] === "string" ? data["kind"] : undefined;
  const event = {
    id: `${namespace}/${scope}/${step}/${id}`,
    source: SOURCE,
    type: TASK_READY,
    subject: id,
    time: at.toISOString(),
    ...definedOnly({ traceparent }),
    data: { namespace, stack: scope, id, ...definedOnly({ kind }) },
  };
  const tag = kind === undefined ? {} : { tag: kind };
  const keys = [event.id, id, scope];
  return { topic, body: eventBody(event), keys, ...tag, properties: eventProperties(event) };
}
