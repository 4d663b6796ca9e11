import type { JsonObject } from "../../state/json.ts";
import { AFTER, answers, json, LIMIT, NAMESPACE } from "./parts.ts";

const NUMBER = {
  name: "number",
  in: "path",
  required: true,
  description: "The number of the parked message.",
  schema: { type: "string", pattern: "^[1-9][0-9]{0,17}$" },
};

/** `/v1/parked`. */
export const parkedPaths: JsonObject = {
  "/v1/parked": {
    get: {
      operationId: "listParked",
      summary: "Messages that could not be applied or sent, oldest first",
      parameters: [LIMIT, AFTER, NAMESPACE],
      responses: answers({ 200: json("One page.", "ParkedPage") }),
    },
  },
  "/v1/parked/{number}": {
    parameters: [NUMBER],
    get: {
      operationId: "getParked",
      summary: "A parked message with its body",
      parameters: [NAMESPACE],
      responses: answers({ 200: json("The message.", "ParkedDetails") }),
    },
    delete: {
      operationId: "discardParked",
      summary: "Discard a parked message",
      parameters: [NAMESPACE],
      responses: answers({ 200: json("Its number: it is discarded.", "Discarded") }),
    },
  },
  "/v1/parked/{number}/redrive": {
    parameters: [NUMBER],
    post: {
      operationId: "redriveParked",
      summary: "Apply a parked message again, as if it had just arrived",
      parameters: [NAMESPACE],
      responses: answers({ 200: json("What it committed; it is no longer parked.", "Committed") }),
    },
  },
};
