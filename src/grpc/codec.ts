import protobuf from "protobufjs";

/** A field: its type and its number; `[]` after the type means many, `{}` a map from text. */
export type Field = readonly [type: string, number: number];

/** Messages by their names, and their fields by theirs. */
export type MessageTable = Readonly<Record<string, Readonly<Record<string, Field>>>>;

/** Turns messages of one type into bytes and back. */
export interface Codec {
  readonly encode: (message: object) => Buffer;
  readonly decode: (bytes: Buffer) => object;
}

/** The codec of each type of a table. */
export function codecsOf(messages: MessageTable): (name: string) => Codec {
  const root = protobuf.Root.fromJSON({
    nested: Object.fromEntries(
      Object.entries(messages).map(([name, fields]) => [name, { fields: fieldsOf(fields) }]),
    ),
  });
  return (name) => {
    const type = root.lookupType(name);
    return {
      encode: (message) => Buffer.from(type.encode(message).finish()),
      decode: (bytes) => type.decode(bytes),
    };
  };
}

function fieldsOf(fields: Readonly<Record<string, Field>>): Record<string, protobuf.IField> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, [type, id]]) => [name, fieldOf(type, id)]),
  );
}

function fieldOf(type: string, id: number): protobuf.IField {
  if (type.endsWith("[]")) return { type: type.slice(0, -2), id, rule: "repeated" };
  if (type.endsWith("{}")) return { type: type.slice(0, -2), id, keyType: "string" } as never;
  return { type, id };
}
