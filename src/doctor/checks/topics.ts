import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { RocketmqFacts } from "../facts.ts";

const REMEDY = "agent_runtime state topics create: it makes and mends them, and takes nothing away";

/** Whether each broker has the topics, ordered, with queues enough. */
export const topics: Check<RocketmqFacts> = {
  name: "topics",
  look: ({ brokers, wanted }) => {
    const wrong = brokers.flatMap(({ name: broker, topics: known }) =>
      wanted.topics.flatMap(({ name, type, queues }) => {
        const found = known.get(name);
        if (found === undefined) return [`${broker} has no topic ${name}`];
        if (found.type !== type)
          return [`topic ${name} on ${broker} is ${found.type}, not ${type}`];
        if (found.queues >= queues) return [];
        return [`topic ${name} on ${broker} has ${found.queues} queues, not ${queues}`];
      }),
    );
    return wrong.length === 0 ? null : fault(wrong.join("; "), REMEDY);
  },
};
