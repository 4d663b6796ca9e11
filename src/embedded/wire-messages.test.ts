import { expect, test } from "vitest";
import { wireMessages } from "./wire-messages.ts";

function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test.each([1, 3, 5, 7, 1_000])("messages are the same in pieces of %i bytes", async (size) => {
  const sent = Buffer.concat([message("T", ""), message("d", "x".repeat(40)), message("Z", "I")]);
  const got: string[] = [];
  for await (const { type, body } of wireMessages(pieces(sent, size)))
    got.push(`${type}${body.toString()}`);
  expect(got).toEqual(["T", `d${"x".repeat(40)}`, "ZI"]);
});

test("what cannot be a message is refused", async () => {
  const noise = wireMessages(pieces(Buffer.from("HTTP/1.1 400 Bad Request"), 100));
  await expect(noise.next()).rejects.toThrow("a message of");
});
