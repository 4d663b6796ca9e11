import { FACTS, FACT_SOURCES, MAX_FACTS, WISHES } from "../../state/lifecycle-fact.ts";
import { object, request, text, time } from "./schema-parts.ts";

const textOrNull = { type: ["string", "null"] };

/** What happens to pods. */
export const lifecycleSchemas = {
  LifecycleFact: request(
    {
      source: { enum: [...FACT_SOURCES] },
      podUid: text,
      podName: text,
      namespace: { ...text, description: "The pod's namespace in Kubernetes." },
      node: textOrNull,
      container: { ...textOrNull, description: "Null: the pod itself, or its sandbox." },
      incarnation: {
        ...textOrNull,
        description:
          "The runtime's id of that run; null: not known. Of a Sandbox object: its resourceVersion.",
      },
      fact: { enum: [...FACTS] },
      at: time,
      exitCode: { type: "integer" },
      signal: { type: "integer", minimum: 1 },
      reason: text,
      desired: { enum: [...WISHES], description: "What is wanted of a Sandbox object." },
      labels: { type: "object", additionalProperties: text },
    },
    ["source", "podUid", "podName", "namespace", "fact", "at"],
  ),
  LifecycleFacts: request(
    {
      facts: {
        type: "array",
        maxItems: MAX_FACTS,
        items: { $ref: "#/components/schemas/LifecycleFact" },
      },
    },
    ["facts"],
  ),
  AcceptedFacts: object({ accepted: { type: "integer" } }),
};
