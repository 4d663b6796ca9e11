import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { CloudEvent } from "../state/event.ts";
import { textIn, toObject } from "../state/fields.ts";
import type { Json } from "../state/json.ts";
import { quote } from "../state/quote.ts";
import { parseBatchEntry } from "../state/request-json.ts";
import type { MessageKind } from "../state/message-kind.ts";
import type { CallOptions, Changeset } from "../state/request.ts";
import type { Committed } from "../state/state.ts";
import { readEvent } from "./read-event.ts";
import type { EventLimits } from "./read-event.ts";

export const UPDATE = "dev.agentruntime.state.update.v1";
export const STEP = "dev.agentruntime.state.step.v1";

export interface UpdateLimits extends EventLimits {
  readonly changesetChanges: number;
}

/**
 * Updates that come as CloudEvents: `update.v1` with what the body of `PUT /v1/states/{id}` has and the
 * `id` beside it, or `step.v1` with what the body of `POST /v1/scopes/{scope}/steps` has and the `scope`.
 */
export function updateKind(
  commit: (changeset: Changeset, call: CallOptions) => Promise<Committed>,
  limits: UpdateLimits,
): MessageKind {
  return (body, brokerId) =>
    readEvent(body, { brokerId, limits }, (event, known) => {
      const changeset = changesetOf(event, known, limits);
      return (call) => commit(changeset, call);
    });
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
      `${quote(type)} is not a supported event type: send ${UPDATE} or ${STEP}`,
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
