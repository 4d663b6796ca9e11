import { expect, test } from "vitest";
import type { ErrorCode } from "../../../src/state/errors.ts";
import type { StateFace } from "../../../src/state/face.ts";
import type { Json } from "../../../src/state/json.ts";
import type { PatchOperation } from "../../../src/state/state.ts";
import { refusalOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

type Call = (face: StateFace, id: string) => Promise<unknown>;
type Row = readonly [what: string, code: ErrorCode, call: Call];

const MIB = 1024 * 1024;

const BAD_IDS: readonly (readonly [what: string, id: string])[] = [
  ["empty", ""],
  ["too long", "x".repeat(201)],
  ["with a slash", "a/b"],
  ["with NUL", "a\0b"],
  ["with a line break", "a\nb"],
  ["with half a surrogate pair", "a\ud800"],
  ["with a direction override", "a\u202eb"],
  ["of white space", " "],
  ["a dot", "."],
  ["two dots", ".."],
];

const idRows: readonly Row[] = BAD_IDS.flatMap(([what, bad]): Row[] => [
  [`an id ${what}, written`, "INVALID_ID", (face) => face.updateState(bad, "shared", 1)],
  [`an id ${what}, read`, "INVALID_ID", (face) => face.getState(bad)],
  [
    `a scope ${what}`,
    "INVALID_SCOPE",
    (face) => face.updateState(uniqueId(), "shared", 1, { scope: bad }),
  ],
  [`a scope ${what}, read`, "INVALID_SCOPE", (face) => face.scope(bad)],
]);

const dataRows: readonly Row[] = (
  [
    ["undefined", "INVALID_DATA", undefined],
    ["NaN", "INVALID_DATA", { n: Number.NaN }],
    ["infinity", "INVALID_DATA", [Number.POSITIVE_INFINITY]],
    ["a number beyond 2^53", "INVALID_DATA", { n: 2 ** 53 }],
    ["a bigint", "INVALID_DATA", { n: 1n }],
    ["a function", "INVALID_DATA", { f: () => 1 }],
    ["a map", "INVALID_DATA", { m: new Map([[1, 2]]) }],
    ["NUL", "INVALID_DATA", { text: "a\0b" }],
    ["NUL in a name", "INVALID_DATA", { "a\0b": 1 }],
    ["half a surrogate pair", "INVALID_DATA", ["\ud800"]],
    ["a __proto__ key", "INVALID_DATA", JSON.parse('{"a":{"__proto__":{"x":1}}}')],
    ["a value that holds itself", "INVALID_DATA", holdsItself()],
    ["65 levels", "INVALID_DATA", nested(65)],
    ["one byte more than 1 MiB", "PAYLOAD_TOO_LARGE", "x".repeat(MIB - 1)],
    ["more bytes than characters", "PAYLOAD_TOO_LARGE", "é".repeat(MIB / 2)],
  ] as const
).flatMap(([what, code, data]): Row[] => [
  [`data: ${what}`, code, (face, id) => face.updateState(id, "task", data as Json)],
  [`a merge patch: ${what}`, code, (face, id) => face.mergeState(id, data as Json)],
]);

const patchRows: readonly Row[] = (
  [
    ["a path that is not there", [{ op: "remove", path: "/none" }]],
    ["a path that is no pointer", [{ op: "add", path: "a", value: 1 }]],
    ["a wrong escape", [{ op: "add", path: "/~2", value: 1 }]],
    ["a test that fails", [{ op: "test", path: "/n", value: 9 }]],
    ["an index beyond the end", [{ op: "add", path: "/list/5", value: 1 }]],
    ["a move into itself", [{ op: "move", from: "/list", path: "/list/0" }]],
    ["an operation that is none", [{ op: "put", path: "/n", value: 1 }]],
    ["an operation without a value", [{ op: "add", path: "/n" }]],
    ["a __proto__ path", [{ op: "add", path: "/__proto__/x", value: 1 }]],
  ] as const
).map(([what, patch]): Row => [
  `a JSON Patch: ${what}`,
  "INVALID_PATCH",
  (face, id) => face.patchState(id, patch as unknown as readonly PatchOperation[]),
]);

const optionRows: readonly Row[] = [
  ["a type that is empty", "INVALID_TYPE", (face) => face.updateState(uniqueId(), "", 1)],
  ["a type with a space", "INVALID_TYPE", (face) => face.updateState(uniqueId(), "a b", 1)],
  ["another type", "INVALID_TYPE", (face, id) => face.updateState(id, "agent", 1)],
  ["an unknown phase", "INVALID_PHASE", (face, id) => face.mergeState(id, {}, { phase: "done" })],
  [
    "an illegal move",
    "ILLEGAL_TRANSITION",
    (face, id) => face.mergeState(id, {}, { phase: "completed" }),
  ],
  [
    "a version below zero",
    "INVALID_VERSION",
    (face, id) => face.mergeState(id, {}, { expectedVersion: -1n }),
  ],
  [
    "a version beyond 2^63-1",
    "INVALID_VERSION",
    (face, id) => face.mergeState(id, {}, { expectedVersion: 2n ** 63n }),
  ],
  [
    "a step below zero",
    "INVALID_STEP",
    (face, id) => face.mergeState(id, {}, { expectedStep: -1n }),
  ],
  ["an empty actor", "INVALID_REQUEST", (face, id) => face.mergeState(id, {}, { actor: "" })],
  [
    "an actor too long",
    "INVALID_REQUEST",
    (face, id) => face.mergeState(id, {}, { actor: "x".repeat(201) }),
  ],
  [
    "a cause too long",
    "INVALID_REQUEST",
    (face, id) => face.mergeState(id, {}, { cause: "x".repeat(1_001) }),
  ],
  [
    "an idempotency key too long",
    "INVALID_REQUEST",
    (face, id) => face.mergeState(id, {}, { idempotencyKey: "x".repeat(201) }),
  ],
  [
    "a time that is none",
    "INVALID_REQUEST",
    (face, id) => face.updateState(id, "task", 1, { expiresAt: new Date(Number.NaN) }),
  ],
  [
    "a namespace with a slash",
    "INVALID_NAMESPACE",
    (face, id) => face.updateState(id, "task", 1, { namespace: "a/b" }),
  ],
  ["an append to what is no array", "INVALID_PATCH", (face, id) => face.appendState(id, "/n", [1])],
  ["an append to nothing", "INVALID_PATCH", (face, id) => face.appendState(id, "/none", [1])],
  [
    "an append to a path that is no text",
    "INVALID_PATCH",
    (face, id) => face.appendState(id, 7 as never, [1]),
  ],
  [
    "an append of what is no array",
    "INVALID_PATCH",
    (face, id) => face.appendState(id, "/list", "text" as never),
  ],
  [
    "a time that is no date",
    "INVALID_REQUEST",
    (face, id) => face.updateState(id, "task", 1, { expiresAt: "2030-01-01" as never }),
  ],
  [
    "a version that got lost",
    "INVALID_VERSION",
    (face, id) => face.updateState(id, "task", 1, { expectedVersion: null as never }),
  ],
  [
    "a step that got lost",
    "INVALID_STEP",
    (face, id) => face.updateState(id, "task", 1, { expectedStep: null as never }),
  ],
  [
    "a changeset without changes",
    "INVALID_REQUEST",
    (face, id) => face.commit({ scope: id } as never),
  ],
  [
    "a read of what is in memory, with a consistency that is none",
    "INVALID_REQUEST",
    (face, id) => face.getState(id, { consistency: "Strong" as never }),
  ],
  [
    "the same, with a version that is none",
    "INVALID_VERSION",
    (face, id) => face.getState(id, { minVersion: "x" as never }),
  ],
  [
    "the same, with a time-out that is no number",
    "INVALID_REQUEST",
    (face, id) => face.getState(id, { timeoutMs: "5" as never }),
  ],
  [
    "the same, taken back before it began",
    "CANCELED",
    (face, id) => face.getState(id, { signal: AbortSignal.abort() }),
  ],
  [
    "a step of a scope that is none",
    "INVALID_STEP",
    (face, id) => face.scopeStates(id, { step: "x" as never }),
  ],
  [
    "a rollback that may be a plan, or not",
    "INVALID_REQUEST",
    (face, id) => face.rollback(id, { toStep: 0n, dryRun: "true" as never }),
  ],
  [
    "a rollback from nowhere",
    "INVALID_REQUEST",
    (face, id) => face.rollback(id, { toStep: 0n, source: "backup" as never }),
  ],
  [
    "a repair that is none",
    "INVALID_REQUEST",
    (face, id) => face.fsck({ scope: id, fix: false as never }),
  ],
  [
    "a plan that is neither true nor false",
    "INVALID_REQUEST",
    (face, id) => face.fsck({ scope: id, fix: "safe", plan: "true" as never }),
  ],
  ["findings before none", "INVALID_VERSION", (face) => face.findings({ before: "x" as never })],
  [
    "a version that is none",
    "INVALID_VERSION",
    (face, id) => face.diff(id, { from: "x" as never }),
  ],
  [
    "a page before none",
    "INVALID_VERSION",
    (face, id) => face.history(id, { before: "" as never }),
  ],
  [
    "a consistency that is none",
    "INVALID_REQUEST",
    (face, id) => face.diff(id, { consistency: "some" as never }),
  ],
  [
    "a time-out that is no number",
    "INVALID_REQUEST",
    (face, id) => face.mergeState(id, { n: 9 }, { timeoutMs: Number.NaN }),
  ],
  [
    "a signal that is none",
    "INVALID_REQUEST",
    (face, id) => face.mergeState(id, { n: 9 }, { signal: {} as never }),
  ],
  [
    "a call that was taken back before it began",
    "CANCELED",
    (face, id) => face.mergeState(id, { n: 9 }, { signal: AbortSignal.abort() }),
  ],
];

/** What cannot be is refused, and a refused write leaves no trace. */
export function refusalContract(face: Face): void {
  test.each([...idRows, ...dataRows, ...patchRows, ...optionRows])(
    "%s is refused as %s and changes nothing",
    async (_what, code, call) => {
      const id = uniqueId("kept");
      const before = await face().updateState(id, "task", { n: 1, list: [] });
      const error = await refusalOf(call(face(), id));
      expect(error).toMatchObject({ name: "AgentRuntimeError", code });
      expect(error.message.length).toBeGreaterThan(10);
      const state = await face().getState(id, { consistency: "strong" });
      expect(state).toMatchObject({ version: 1n, data: { n: 1, list: [] }, digest: before.digest });
      expect((await face().scope(id)).step).toBe(1n);
    },
  );
}

function nested(levels: number): Json {
  let value: Json = {};
  for (let level = 1; level < levels; level++) value = { value };
  return value;
}

function holdsItself(): unknown {
  const value: { inner?: unknown } = {};
  value.inner = value;
  return value;
}
