/** Values of a row, each still PostgreSQL's text; null where the column is. */
export type Row = readonly (string | null)[];

/** Columns come as text and are read here: `pg` would make Dates and parse JSON that nobody looks at. */
export const AS_TEXT = { getTypeParser: () => (value: string) => value };

/** The text of a column that is never null. */
export function text(row: Row, column: number): string {
  return row[column]!;
}

export function bigint(row: Row, column: number): bigint {
  return BigInt(row[column]!);
}

/** An array of bigint, as PostgreSQL writes it: `{1,2}`. */
export function bigints(row: Row, column: number): bigint[] {
  const list = text(row, column).slice(1, -1);
  return list === "" ? [] : list.split(",").map(BigInt);
}

export function boolean(row: Row, column: number): boolean {
  return row[column] === "t";
}

/** A digest: PostgreSQL writes bytea as `\x...`. */
export function digest(row: Row, column: number): string {
  const value = row[column];
  return value === null || value === undefined ? "" : value.slice(2);
}

const TIMESTAMP = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d)(:\d\d)?(:\d\d)?$/;

/** A timestamptz in ISO style, whatever the session's time zone. */
export function timestamp(value: string): Date {
  const parts = TIMESTAMP.exec(value);
  if (parts === null) throw new TypeError(`not a timestamp: ${value}`);
  const [, day, time, fraction = "", hours, minutes = ":00"] = parts;
  return new Date(`${day}T${time}${fraction.slice(0, 4)}${hours}${minutes}`);
}

export function date(row: Row, column: number): Date {
  return timestamp(row[column]!);
}

/** A column that may be null. */
export function optional<Value>(
  row: Row,
  column: number,
  read: (row: Row, column: number) => Value,
): Value | null {
  return row[column] === null ? null : read(row, column);
}
