/** One line of JSON: 64-bit numbers as text, times as ISO 8601, as the HTTP API has them. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, wide);
}

/** The same, indented for people. */
export function toPrettyJson(value: unknown): string {
  return JSON.stringify(value, wide, 2);
}

function wide(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
