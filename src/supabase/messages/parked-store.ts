import { PARKED_LIMITS } from "../../state/parked-port.ts";
import type { ParkedMessage, ParkedStore } from "../../state/parked-port.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, boolean, date, text } from "../rows.ts";
import type { Row } from "../rows.ts";

const PARK_MESSAGE = {
  fn: "park_message",
  parameters: {
    topic: "text",
    message_id: "text",
    namespace: "text",
    group: "text",
    code: "text",
    detail: "text",
    body: "text",
    messages_limit: "integer",
    bytes_limit: "bigint",
  },
  columns: ["park_message"],
  writes: true,
} as const satisfies Operation;

const READ_PARKED = {
  fn: "read_parked",
  parameters: { namespace: "text", parked_no: "bigint", after: "bigint", limit: "integer" },
  columns: [
    "parked_no",
    "topic",
    "message_id",
    "namespace",
    "message_group",
    "code",
    "detail",
    "attempts",
    "bytes",
    "parked_at",
    "tried_at",
    "body",
  ],
  writes: false,
} as const satisfies Operation;

const DROP_PARKED = {
  fn: "drop_parked",
  parameters: { namespace: "text", parked_no: "bigint" },
  columns: ["drop_parked"],
  writes: true,
} as const satisfies Operation;

const PARKED_FIGURES = {
  fn: "parked_figures",
  parameters: {},
  columns: ["messages", "bytes"],
  writes: false,
} as const satisfies Operation;

/** Messages that could not be applied, kept in the database. */
export function parkedStoreOver(caller: Caller): ParkedStore {
  return {
    park: async ({ messageId, body, ...order }) => {
      const [row] = await caller.call(PARK_MESSAGE, {
        ...order,
        message_id: messageId,
        body: Buffer.from(body).toString("base64"),
        messages_limit: PARKED_LIMITS.messages,
        bytes_limit: BigInt(PARKED_LIMITS.bytes),
      });
      return boolean(row!, 0);
    },
    list: async (namespace, page) => {
      const rows = await caller.call(READ_PARKED, { namespace, parked_no: null, ...page });
      return rows.map(parkedMessage);
    },
    read: async (namespace, number) => {
      const one = { namespace, parked_no: number, after: 0n, limit: 1 };
      const [row] = await caller.call(READ_PARKED, one);
      if (row === undefined) return null;
      return { message: parkedMessage(row), body: Buffer.from(text(row, 11), "base64") };
    },
    drop: async (namespace, number) => {
      const [row] = await caller.call(DROP_PARKED, { namespace, parked_no: number });
      return boolean(row!, 0);
    },
    figures: async () => {
      const [row] = await caller.call(PARKED_FIGURES, {});
      return { messages: Number(row![0]), bytes: Number(row![1]) };
    },
  };
}

function parkedMessage(row: Row): ParkedMessage {
  return {
    number: bigint(row, 0),
    topic: text(row, 1),
    messageId: text(row, 2),
    namespace: text(row, 3),
    group: row[4] ?? null,
    code: text(row, 5),
    detail: text(row, 6),
    attempts: Number(row[7]),
    bytes: Number(row[8]),
    parkedAt: date(row, 9),
    triedAt: date(row, 10),
  };
}
