import { expect, test } from "vitest";
import { OPTION_KEYS, optionOf } from "./options.ts";
import type { OptionKey } from "./options.ts";

const context = { isText: false, cwd: "/srv" };
const text = { isText: true, cwd: "/srv" };

function parse(key: OptionKey, raw: unknown, how = context): unknown {
  const parsed = optionOf(key).kind.parse(raw, how);
  return parsed.ok ? parsed.value : parsed.problems;
}

function says(key: OptionKey, raw: unknown, how = context): string {
  const parsed = optionOf(key).kind.parse(raw, how);
  expect(parsed.ok).toBe(false);
  return parsed.ok ? "" : parsed.problems.map((problem) => problem.says).join("; ");
}

test.each(OPTION_KEYS)(
  "%s accepts its own default, and shows it as a file would have it",
  (key) => {
    const { kind, default: standard } = optionOf(key);
    const parsed = kind.parse(standard, context);
    expect(parsed.ok).toBe(true);
    if (parsed.ok && key !== "dataDir") expect(kind.show(parsed.value)).toEqual(standard);
  },
);

test.each([0, 17, 1.5, Number.NaN, Infinity, "2", true, null, [2], 2 ** 60])(
  "a file that says %j lanes is refused",
  (raw) => {
    expect(says("supabase.lanes", raw)).toBe("must be a whole number from 1 to 16");
  },
);

test.each(["", " 2", "2.0", "1e1", "0x2", "two", "99999999999999999999"])(
  "a variable that says %j lanes is refused",
  (raw) => {
    expect(says("supabase.lanes", raw, text)).toBe("must be a whole number from 1 to 16");
  },
);

test("text is read as a number or a switch only where it came as text", () => {
  expect(parse("supabase.lanes", "16", text)).toBe(16);
  expect(parse("telemetry.traces", "true", text)).toBe(true);
  expect(parse("telemetry.traces", "false", text)).toBe(false);
  expect(says("telemetry.traces", "true")).toBe("must be true or false");
  expect(says("telemetry.traces", "1", text)).toBe("must be true or false");
});

test("addresses are taken apart and put together again", () => {
  const { kind } = optionOf("listen");
  for (const address of ["127.0.0.1:0", "[::1]:65535", "localhost:8080"]) {
    expect(kind.show(parse("listen", address))).toBe(address);
  }
  expect(parse("listen", "[::1]:80")).toEqual({ host: "::1", port: 80 });
});

test.each([
  ":80",
  "127.0.0.1",
  "127.0.0.1:",
  "::1:80",
  "h:65536",
  "http://h:80",
  "h:-1",
  80,
  "a b:1",
])("%j is no address", (raw) => {
  expect(says("listen", raw)).toContain("must be HOST:PORT");
});

test("folders are relative to the working directory, and npm is a word", () => {
  expect(parse("dataDir", "data")).toBe("/srv/data");
  expect(parse("dataDir", "/data")).toBe("/data");
  expect(parse("embedded.binaries", "npm")).toBe("npm");
  expect(parse("embedded.binaries", "/usr/lib/postgresql/15")).toBe("/usr/lib/postgresql/15");
  for (const raw of ["", "a\0b", 5]) expect(says("dataDir", raw)).toBe("must be a folder");
});

test("a selection is a list, or words with commas between them, and keeps what is needed", () => {
  expect(parse("roles", ["rollback", "main"])).toEqual(["main", "rollback"]);
  expect(parse("roles", "readonly, main,main", text)).toEqual(["main", "readonly"]);
  for (const raw of [[], "main", ["rollback"], ["main", "spare"], ["main", 1], null]) {
    expect(says("roles", raw)).toBe("must be a list of main, readonly, rollback, with main in it");
  }
  for (const raw of ["", "rollback", "main,spare", "main,"]) says("roles", raw, text);
});
