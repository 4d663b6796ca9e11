import { expect, test } from "vitest";
import { bigint, boolean, date, digest, optional, timestamp } from "./rows.ts";

test.each([
  ["2026-11-23 03:08:54.121334+00", "2026-11-23T03:08:54.121Z"],
  ["2026-11-23 03:08:54+00", "2026-11-23T03:08:54.000Z"],
  ["2026-11-23 03:08:54.5+00", "2026-11-23T03:08:54.500Z"],
  ["2026-11-23 08:38:54.121+05:30", "2026-11-23T03:08:54.121Z"],
  ["2026-11-22 19:08:54.121-08", "2026-11-23T03:08:54.121Z"],
  ["2026-11-23 00:38:54.121-02:30", "2026-11-23T03:08:54.121Z"],
])("reads the moment %s", (text, iso) => {
  expect(timestamp(text).toISOString()).toBe(iso);
});

test.each(["infinity", "23/11/2026 03:08:54 UTC", "", "2026-11-23"])(
  "refuses %j as a moment",
  (text) => {
    expect(() => timestamp(text)).toThrow("not a timestamp");
  },
);

test("reads columns as what they are", () => {
  const row = ["9223372036854775807", "t", "f", "\\x0aff", null, "2026-11-23 03:08:54+00"];
  expect(bigint(row, 0)).toBe(9223372036854775807n);
  expect([boolean(row, 1), boolean(row, 2)]).toEqual([true, false]);
  expect([digest(row, 3), digest(row, 4)]).toEqual(["0aff", ""]);
  expect([optional(row, 4, date), optional(row, 0, bigint)]).toEqual([null, 9223372036854775807n]);
  expect(date(row, 5).getTime()).toBe(Date.UTC(2026, 10, 23, 3, 8, 54));
});
