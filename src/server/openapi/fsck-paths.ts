import type { JsonObject } from "../../state/json.ts";
import { answers, body, countQuery, json, LIMIT, NAMESPACE, query } from "./parts.ts";

/** `/v1/fsck`. */
export const fsckPaths: JsonObject = {
  "/v1/fsck": {
    get: {
      operationId: "getFindings",
      summary: "What the confusion detector found, newest first",
      parameters: [
        query("scope", "Only this scope."),
        query("all", "`true`: also those that are settled.", { enum: ["true", "false"] }),
        LIMIT,
        countQuery("before", "`next` of the page before."),
        NAMESPACE,
      ],
      responses: answers({ 200: json("One page, and how the newest runs went.", "Findings") }),
    },
    post: {
      operationId: "runFsck",
      summary:
        "Check now; report what could be repaired (`plan`), or repair what is proven (`fix`)",
      description: "With tokens, needs the role `operator`.",
      parameters: [NAMESPACE],
      requestBody: { ...body("FsckRequest"), required: false },
      responses: answers({ 200: json("Open findings, and those settled now.", "FsckReport") }),
    },
  },
};
