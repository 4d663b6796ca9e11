import type { JsonObject } from "../../state/json.ts";
import { answers, body, json, NAMESPACE } from "./parts.ts";

/** `/v1/lifecycle`. */
export const lifecyclePaths: JsonObject = {
  "/v1/lifecycle/facts": {
    post: {
      operationId: "publishLifecycleFacts",
      summary: "Report what happened to pods; repeating a fact changes nothing",
      parameters: [NAMESPACE],
      requestBody: body("LifecycleFacts"),
      responses: answers({ 202: json("How many were taken: all.", "AcceptedFacts") }),
    },
  },
};
