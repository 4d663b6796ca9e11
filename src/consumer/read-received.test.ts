import { expect, test } from "vitest";
import { readReceived } from "./read-received.ts";

/** A message that announces a change, with that text as its document. */
function announcing(document: string): Uint8Array {
  const names = `"namespace":"default","scope":"a","id":"a","type":"shared","step":"1","version":"1"`;
  const rest = `"kind":"update","phase":null,"digest":"d","at":"2030-01-01T00:00:00.000Z"`;
  const data = `{${names},${rest},"data":${document}}`;
  const type = "dev.agentruntime.state.changed.v1";
  return Buffer.from(`{"specversion":"1.0","id":"1","source":"s","type":"${type}","data":${data}}`);
}

test("a change is read with its document", () => {
  expect(readReceived(announcing(`{"a":[1]}`))).toMatchObject({ change: { data: { a: [1] } } });
});

test("a message nested deeper than anybody can walk is none of ours, and holds nobody up", () => {
  const levels = 200_000;
  const message = announcing("[".repeat(levels) + "]".repeat(levels));
  expect(() => readReceived(message)).toThrow(expect.objectContaining({ code: "INVALID_JSON" }));
});
