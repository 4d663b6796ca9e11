/**
 * PostgreSQL arrays in their binary form.
 *
 * `pg` sends a Buffer as it is; against its own text arrays this was measured to carry half as much
 * again through one connection.
 */

const OID = { integer: 23, bigint: 20, text: 25, json: 114, tid: 27 } as const;

const HEADER_BYTES = 20;
const NULL_LENGTH = -1;

/** An array of text, or of JSON text; null where every element is. */
export function textArray(
  items: readonly (string | null)[],
  type: "text" | "json" = "text",
): Buffer | null {
  let size = HEADER_BYTES;
  let hasNull = false;
  let allNull = true;
  for (const item of items) {
    if (item === null) hasNull = true;
    else {
      allNull = false;
      size += Buffer.byteLength(item);
    }
    size += 4;
  }
  if (allNull) return null;
  const buffer = Buffer.allocUnsafe(size);
  let offset = header(buffer, OID[type], items.length, hasNull);
  for (const item of items) {
    if (item === null) {
      offset = buffer.writeInt32BE(NULL_LENGTH, offset);
      continue;
    }
    const bytes = buffer.write(item, offset + 4, "utf8");
    buffer.writeInt32BE(bytes, offset);
    offset += 4 + bytes;
  }
  return buffer;
}

/** An array of bigint; null where every element is. */
export function bigintArray(items: readonly (bigint | null)[]): Buffer | null {
  const nulls = items.reduce((count, item) => (item === null ? count + 1 : count), 0);
  if (nulls === items.length) return null;
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + items.length * 12 - nulls * 8);
  let offset = header(buffer, OID.bigint, items.length, nulls > 0);
  for (const item of items) {
    if (item === null) {
      offset = buffer.writeInt32BE(NULL_LENGTH, offset);
      continue;
    }
    offset = buffer.writeInt32BE(8, offset);
    offset = buffer.writeBigInt64BE(item, offset);
  }
  return buffer;
}

/** An array of integer. */
export function integerArray(items: readonly number[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + items.length * 8);
  let offset = header(buffer, OID.integer, items.length, false);
  for (const item of items) {
    offset = buffer.writeInt32BE(4, offset);
    offset = buffer.writeInt32BE(item, offset);
  }
  return buffer;
}

/** An array of row places (`tid`), each as the number that `parsePlace` makes. */
export function placeArray(places: readonly (number | null)[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + places.length * 10);
  let offset = header(buffer, OID.tid, places.length, places.includes(null));
  for (const place of places) {
    offset = buffer.writeInt32BE(place === null ? NULL_LENGTH : 6, offset);
    if (place !== null) offset = buffer.writeUIntBE(place, offset, 6);
  }
  return buffer.subarray(0, offset);
}

function header(buffer: Buffer, oid: number, length: number, hasNull: boolean): number {
  buffer.writeInt32BE(1, 0); // one dimension
  buffer.writeInt32BE(hasNull ? 1 : 0, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(length, 12);
  return buffer.writeInt32BE(1, 16); // lower bound
}
