let events = 0;

/** An update as an event of its own. */
export function eventOf(
  data: unknown,
  fields: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    specversion: "1.0",
    id: `event-${++events}`,
    source: "/tests",
    type: "dev.agentruntime.state.update.v1",
    data,
    ...fields,
  };
}

/** What can never be applied: what it is, the code of its refusal, the body. There is a task `known`, in a scope of its own. */
export const POISON: readonly (readonly [string, string, unknown])[] = [
  ["no JSON", "INVALID_JSON", Buffer.from("{")],
  ["no UTF-8", "INVALID_JSON", Buffer.from([0xff, 0xfe])],
  ["no event", "INVALID_REQUEST", { id: "a" }],
  [
    "no namespace that can be",
    "INVALID_NAMESPACE",
    eventOf({ id: "p", type: "note", data: 1 }, { namespace: "a/b" }),
  ],
  ["an unknown type", "INVALID_REQUEST", eventOf({}, { type: "com.example.else" })],
  ["no type of state", "INVALID_TYPE", eventOf({ id: "p", type: "", data: 1 })],
  ["an unknown field", "UNKNOWN_FIELD", eventOf({ id: "p", type: "note", data: 1, dat: 2 })],
  [
    "too large a document",
    "PAYLOAD_TOO_LARGE",
    eventOf({ id: "p", type: "note", data: "x".repeat(2_000_000) }),
  ],
  [
    "too large a message",
    "PAYLOAD_TOO_LARGE",
    eventOf({ id: "p", type: "note", data: "x".repeat(4_300_000) }),
  ],
  [
    "another scope than the state's",
    "INVALID_SCOPE",
    eventOf({ id: "known", type: "task", scope: "elsewhere", data: 1 }),
  ],
  [
    "an illegal transition",
    "ILLEGAL_TRANSITION",
    eventOf({ id: "known", type: "task", phase: "completed", data: 1 }),
  ],
];
