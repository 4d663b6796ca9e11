import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import { MESSAGES, codecOf } from "./messages.ts";
import { METHODS } from "./methods.ts";

/** The definition as the official client brings it. */
function official(): protobuf.Root {
  const client = createRequire(import.meta.url).resolve("rocketmq-client-nodejs/package.json");
  const folder = join(dirname(client), "proto");
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) =>
    target.startsWith("google/") ? target : join(folder, target);
  root.loadSync("apache/rocketmq/v2/service.proto");
  return root;
}

/** How a field travels. */
function shapeOf(field: protobuf.Field): string {
  field.resolve();
  const isEnum = field.resolvedType instanceof protobuf.Enum;
  const type = isEnum ? "int32" : (field.type.split(".").at(-1) ?? "");
  return `${type}${field.repeated ? "[]" : ""}${field.map ? "{}" : ""} = ${field.id}`;
}

test("every message is a part of the official one: same names, numbers and types", () => {
  const root = official();
  for (const [name, fields] of Object.entries(MESSAGES)) {
    const isCommon = ["Duration", "Timestamp"].includes(name);
    const type = root.lookupType(`${isCommon ? "google.protobuf" : "apache.rocketmq.v2"}.${name}`);
    for (const [field, [kind, id]] of Object.entries(fields)) {
      expect(shapeOf(type.fields[field]!), `${name}.${field}`).toBe(`${kind} = ${id}`);
    }
  }
});

test("every call is one of the official service, with its types", () => {
  const { methods } = official().lookupService("apache.rocketmq.v2.MessagingService");
  for (const { path, requestStream, responseStream } of Object.values(METHODS)) {
    const method = methods[path.split("/").at(-1)!]!;
    expect(method, path).toBeDefined();
    expect([requestStream, responseStream]).toEqual([
      method.requestStream ?? false,
      method.responseStream ?? false,
    ]);
    for (const type of [method.requestType, method.responseType]) {
      expect(Object.keys(MESSAGES)).toContain(type);
    }
  }
});

test("what is encoded is decoded", () => {
  const { encode, decode } = codecOf("Message");
  const message = {
    topic: { name: "t" },
    userProperties: { CE_id: "a/b/1/c", empty: "" },
    systemProperties: { keys: ["k1", "k2"], messageId: "m", messageGroup: "g", queueId: 0 },
    body: Buffer.from([0, 1, 255]),
  };
  expect(decode(encode(message))).toMatchObject(message);
});
