import type { JsonObject } from "../../state/json.ts";

export const count = { type: "string", pattern: "^(0|[1-9][0-9]{0,18})$" };
export const text = { type: "string" };
export const time = { type: "string", format: "date-time" };
export const flag = { type: "boolean" };
export const anyJson = { description: "Any JSON value." };
export const name = { type: "string", minLength: 1, maxLength: 200 };

/** An object that is answered. */
export function object(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  const required = Object.keys(properties).filter((field) => !optional.includes(field));
  return { type: "object", properties, required };
}

/** An object that somebody sends: fields beyond these are refused. */
export function request(properties: JsonObject, required: readonly string[]): JsonObject {
  return { type: "object", properties, required, additionalProperties: false };
}
