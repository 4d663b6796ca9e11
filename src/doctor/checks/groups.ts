import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { RocketmqFacts } from "../facts.ts";

const REMEDY = "agent_runtime state topics create: it makes and mends them, and takes nothing away";

/** Whether each broker gives the group its messages in order, and again for as long as is needed. */
export const groups: Check<RocketmqFacts> = {
  name: "group of consumers",
  look: ({ brokers, wanted: { group } }) => {
    const wrong = brokers.flatMap(({ name: broker, group: found }) => {
      if (found === null) return [`${broker} has no group ${group.name}`];
      if (!found.isOrdered) return [`group ${group.name} on ${broker} is not ordered`];
      if (found.retries >= group.retries) return [];
      return [`group ${group.name} on ${broker} gives up after ${found.retries} tries`];
    });
    return wrong.length === 0 ? null : fault(wrong.join("; "), REMEDY);
  },
};
