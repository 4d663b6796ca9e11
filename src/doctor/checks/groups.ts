import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { RocketmqFacts } from "../facts.ts";

const REMEDY = "agent_runtime state topics create: it makes and mends them, and takes nothing away";

/** Whether each broker gives each group its messages in order, and again for as long as is needed. */
export const groups: Check<RocketmqFacts> = {
  name: "groups of consumers",
  look: ({ brokers, wanted }) => {
    const wrong = brokers.flatMap(({ name: broker, groups: known }) =>
      wanted.groups.flatMap(({ name, retries }) => {
        const found = known.get(name);
        if (found === undefined) return [`${broker} has no group ${name}`];
        if (!found.isOrdered) return [`group ${name} on ${broker} is not ordered`];
        if (found.retries >= retries) return [];
        return [`group ${name} on ${broker} gives up after ${found.retries} tries`];
      }),
    );
    return wrong.length === 0 ? null : fault(wrong.join("; "), REMEDY);
  },
};
