import { deflateSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { unzipped } from "./unzipped.ts";

const TEXT = "x".repeat(5_000);

test.each([
  ["gzip", gzipSync(TEXT)],
  ["the format of zlib, as older clients send it", deflateSync(TEXT)],
])("a body in %s is unpacked", (_name, body) => {
  expect(Buffer.from(unzipped(body)).toString()).toBe(TEXT);
});

test("one that is neither, is cut short or would fill the memory stays as it came", () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  for (const body of [Buffer.from(TEXT), gzipSync(TEXT).subarray(0, 20), bomb]) {
    expect(unzipped(body)).toBe(body);
  }
});
