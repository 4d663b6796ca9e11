import { recordedTrace } from "../service/tracing.ts";
import { definedOnly } from "../state/defined.ts";
import type { FactSink } from "../state/fact-sink.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { MessageProducer } from "../state/message-bus.ts";
import { byPod } from "./by-pod.ts";
import { factMessage } from "./fact-event.ts";

/**
 * Tells facts over a message bus: of each pod one after the other, pods side by side.
 *
 * @param place.traceparent the trace that the facts belong to; unsaid: the active span's.
 */
export function busSink(
  producer: Pick<MessageProducer, "send">,
  place: { readonly topic: string; readonly namespace: string; readonly traceparent?: string },
): FactSink {
  const { topic, namespace } = place;
  const sendAll = async (facts: readonly LifecycleFact[], signal?: AbortSignal): Promise<void> => {
    const traced = definedOnly({ traceparent: recordedTrace(place.traceparent) ?? undefined });
    for (const fact of facts) {
      await producer.send(factMessage(topic, { fact, namespace, ...traced }), signal);
    }
  };
  return {
    publish: async (facts, signal) => {
      const pods = byPod(facts).map((ofPod) => sendAll(ofPod, signal));
      // All of them end before the answer: nothing is sent behind the caller's back.
      const failed = (await Promise.allSettled(pods)).find(({ status }) => status === "rejected");
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
    },
  };
}
