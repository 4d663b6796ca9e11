import { readEvent } from "../intake/read-event.ts";
import type { EventLimits } from "../intake/read-event.ts";
import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { eventBody, eventProperties } from "../state/event.ts";
import type { CloudEvent } from "../state/event.ts";
import type { Json } from "../state/json.ts";
import { factJson, factKey, parseFact } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { OutgoingMessage } from "../state/message-bus.ts";
import type { MessageKind } from "../state/message-kind.ts";
import { quote } from "../state/quote.ts";
import type { CallOptions } from "../state/request.ts";
import type { Committed } from "../state/state.ts";

const FACT_EVENT = "dev.agentruntime.lifecycle.fact.v1";

/** A fact on its way over a message bus; those of one pod arrive in the order in which they were sent. */
export function factMessage(
  topic: string,
  {
    fact,
    namespace,
    traceparent,
  }: {
    readonly fact: LifecycleFact;
    readonly namespace: string;
    readonly traceparent?: string;
  },
): OutgoingMessage {
  const { podUid, source, node, at } = fact;
  const event: CloudEvent = {
    id: factKey(fact),
    source: `/agentruntime/${source}/${node ?? "-"}`,
    type: FACT_EVENT,
    subject: podUid,
    time: at,
    namespace,
    ...definedOnly({ traceparent }),
    data: factJson(fact),
  };
  return {
    topic,
    group: podUid,
    tag: fact.fact,
    keys: [event.id, podUid],
    properties: eventProperties(event),
    body: eventBody(event),
  };
}

/** Facts that come as CloudEvents. */
export function factKind(
  apply: (
    namespace: string,
    facts: readonly LifecycleFact[],
    call: CallOptions,
  ) => Promise<Committed>,
  limits: EventLimits,
): MessageKind {
  return (body, brokerId) =>
    readEvent(body, { brokerId, limits }, ({ type, data }, { namespace }) => {
      if (type !== FACT_EVENT) {
        const why = `${quote(type)} is no event that is taken in here: send ${FACT_EVENT}`;
        throw new AgentRuntimeError("INVALID_REQUEST", why, { field: "type" });
      }
      const fact = parseFact((data ?? null) as Json, "the event's data");
      return (call) => apply(namespace, [fact], call);
    });
}
