import type { FactSink } from "../state/fact-sink.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { MessageProducer } from "../state/message-bus.ts";
import { byPod } from "./by-pod.ts";
import { factMessage } from "./fact-event.ts";

/** Tells facts over a message bus: of each pod one after the other, pods side by side. */
export function busSink(
  producer: Pick<MessageProducer, "send">,
  { topic, namespace }: { readonly topic: string; readonly namespace: string },
): FactSink {
  const sendAll = async (facts: readonly LifecycleFact[], signal?: AbortSignal): Promise<void> => {
    for (const fact of facts) await producer.send(factMessage(topic, { fact, namespace }), signal);
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
