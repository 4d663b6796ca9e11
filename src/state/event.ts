import { definedOnly } from "./defined.ts";
import { AgentRuntimeError } from "./errors.ts";
import { quote } from "./quote.ts";

/** What a CloudEvents 1.0 event says of itself; its data travels with it. */
export interface CloudEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  /** ISO 8601. */
  readonly time?: string;
  /** An extension: in which namespace its subject is; unsaid: `default`. */
  readonly namespace?: string;
  /** The extension for distributed tracing: the trace that it belongs to, as W3C has it. */
  readonly traceparent?: string;
  readonly data: unknown;
}

const CONTENT_TYPE = "application/json";

/** The body of the message that carries an event: structured mode, JSON. */
export function eventBody(event: CloudEvent): Uint8Array {
  const { data, ...attributes } = event;
  const whole = { specversion: "1.0", ...attributes, datacontenttype: CONTENT_TYPE, data };
  return Buffer.from(JSON.stringify(whole));
}

/** Its attributes as properties of the message, so that brokers and consumers can tell without its body. */
export function eventProperties(event: CloudEvent): Record<string, string> {
  const { id, source, type, subject, time, traceparent } = event;
  return {
    CE_specversion: "1.0",
    CE_id: id,
    CE_source: source,
    CE_type: type,
    CE_datacontenttype: CONTENT_TYPE,
    ...(subject === undefined ? {} : { CE_subject: subject }),
    ...(time === undefined ? {} : { CE_time: time }),
    ...definedOnly({ traceparent }),
  };
}

/** An event from the body of a message; its data is not looked at. */
export function parseEvent(value: unknown): CloudEvent {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("the message must be a CloudEvents 1.0 event: a JSON object");
  }
  const given = value as Record<string, unknown>;
  if (given["specversion"] !== "1.0") throw invalid(`"specversion" must be "1.0"`);
  const [id, source, type] = ["id", "source", "type"].map((name) => textAt(given, name));
  return {
    id: id!,
    source: source!,
    type: type!,
    data: given["data"],
    ...definedOnly({ subject: optionalAt(given, "subject") }),
    ...definedOnly({ namespace: optionalAt(given, "namespace") }),
    // Like a header that is none, what is no text here is left out and refuses nothing.
    ...(typeof given["traceparent"] === "string" ? { traceparent: given["traceparent"] } : {}),
  };
}

function optionalAt(given: Record<string, unknown>, name: string): string | undefined {
  return given[name] === undefined ? undefined : textAt(given, name);
}

function textAt(given: Record<string, unknown>, name: string): string {
  const value = given[name];
  if (typeof value === "string" && value !== "") return value;
  throw invalid(`the event's ${quote(name)} must be text, and is not`, name);
}

function invalid(message: string, field?: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_REQUEST", message, field === undefined ? {} : { field });
}
