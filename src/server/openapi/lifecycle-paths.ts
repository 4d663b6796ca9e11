import type { JsonObject } from "../../state/json.ts";
import { answers, body, json, NAMESPACE } from "./parts.ts";

/** `/v1/lifecycle`. */
export const lifecyclePaths: JsonObject = {
  "/v1/lifecycle/facts": {
    post: {
      operationId: "publishLifecycleFacts",
      summary: "Tell what happened to pods; the same facts again change nothing",
      parameters: [NAMESPACE],
      requestBody: body("LifecycleFacts"),
      responses: answers({ 202: json("How many were taken: all.", "AcceptedFacts") }),
    },
  },
};
