import { quote } from "./quote.ts";

/** What is wrong with a JSON text, and the index of the character where. */
export interface TextFault {
  readonly at: number;
  readonly why: string;
}

/** What may stand where the scanner is. */
type Expected = "value" | "item or ]" | "name" | "name or }" | ":" | ", or end" | "nothing";

interface Scan {
  readonly text: string;
  at: number;
  expected: Expected;
  /** What is open: the names that an object has had, or null for an array. */
  readonly open: (Set<string> | null)[];
}

/**
 * The first place where a text is not JSON (RFC 8259) or gives a field twice in one object;
 * undefined where there is none.
 *
 * Slow and exact: it runs once JSON.parse has failed, which does not always say where, or once a
 * screen has found more names than fields.
 */
export function findTextFault(text: string): TextFault | undefined {
  const scan: Scan = { text, at: 0, expected: "value", open: [] };
  for (;;) {
    scan.at = endOf(/[ \t\n\r]*/y, scan) ?? scan.at;
    if (scan.at === text.length && scan.expected === "nothing") return undefined;
    const fault = takeToken(scan);
    if (fault !== undefined) return fault;
  }
}

function takeToken(scan: Scan): TextFault | undefined {
  const { expected, text, at } = scan;
  if (expected === "nothing") return unexpected(scan);
  if (expected === ", or end") return takeSeparator(scan);
  if (expected === ":") return text[at] === ":" ? advance(scan, 1, "value") : unexpected(scan);
  if (expected === "name or }" && text[at] === "}") return close(scan);
  if (expected === "item or ]" && text[at] === "]") return close(scan);
  return expected === "name" || expected === "name or }" ? takeName(scan) : takeValue(scan);
}

function takeValue(scan: Scan): TextFault | undefined {
  const character = scan.text[scan.at];
  if (character === "{") {
    scan.open.push(new Set());
    return advance(scan, 1, "name or }");
  }
  if (character === "[") {
    scan.open.push(null);
    return advance(scan, 1, "item or ]");
  }
  if (character === '"') {
    const end = stringEnd(scan.text, scan.at);
    return typeof end === "number" ? finishValue(scan, end) : end;
  }
  const end = endOf(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y, scan);
  return end === undefined ? unexpected(scan) : finishValue(scan, end);
}

function takeName(scan: Scan): TextFault | undefined {
  if (scan.text[scan.at] !== '"') return unexpected(scan);
  const end = stringEnd(scan.text, scan.at);
  if (typeof end !== "number") return end;
  const name = JSON.parse(scan.text.slice(scan.at, end)) as string;
  const names = scan.open.at(-1)!;
  if (names.has(name)) return { at: scan.at, why: `the field ${quote(name)} is given twice` };
  names.add(name);
  scan.at = end;
  scan.expected = ":";
  return undefined;
}

function takeSeparator(scan: Scan): TextFault | undefined {
  const isArray = scan.open.at(-1) === null;
  const character = scan.text[scan.at];
  if (character === ",") return advance(scan, 1, isArray ? "value" : "name");
  return character === (isArray ? "]" : "}") ? close(scan) : unexpected(scan);
}

function close(scan: Scan): undefined {
  scan.open.pop();
  return finishValue(scan, scan.at + 1);
}

function finishValue(scan: Scan, end: number): undefined {
  scan.at = end;
  scan.expected = scan.open.length === 0 ? "nothing" : ", or end";
}

function advance(scan: Scan, characters: number, expected: Expected): undefined {
  scan.at += characters;
  scan.expected = expected;
}

/** The index behind a string's closing quote, or what is wrong with the string. */
function stringEnd(text: string, start: number): number | TextFault {
  const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) return at + 1;
    if (unit < 0x20) return { at, why: "a control character in a string is written as an escape" };
    if (unit !== 0x5c) continue;
    escape.lastIndex = at;
    if (!escape.test(text)) return { at, why: "JSON has no such escape in a string" };
    at = escape.lastIndex - 1;
  }
  return { at: start, why: "this string never ends" };
}

/** Where a match that starts here ends, or undefined where there is none. */
function endOf(pattern: RegExp, scan: Scan): number | undefined {
  pattern.lastIndex = scan.at;
  return pattern.test(scan.text) ? pattern.lastIndex : undefined;
}

function unexpected(scan: Scan): TextFault {
  const expected = expectation(scan);
  if (scan.at === scan.text.length) return { at: scan.at, why: `it ends where ${expected} is due` };
  const found = quote(String.fromCodePoint(scan.text.codePointAt(scan.at)!));
  return { at: scan.at, why: `${found} stands where ${expected} is due` };
}

function expectation(scan: Scan): string {
  const isArray = scan.open.at(-1) === null;
  return {
    value: "a value",
    "item or ]": 'a value or "]"',
    name: "a field's name in double quotes",
    "name or }": `a field's name in double quotes or "}"`,
    ":": '":"',
    ", or end": isArray ? '"," or "]"' : '"," or "}"',
    nothing: "the end",
  }[scan.expected];
}
