// Documents and diffs as coloured text: made of text nodes, so that nothing in them is ever markup.
import { h } from "./dom.mjs";

/** Beyond this a browser gets slow; the rest is a matter for `agent_runtime state get`. */
const MAX_CHARS = 200_000;

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*|\btrue\b|\bfalse\b|\bnull\b)/g;

/** A document, indented; numbers as they came is what JSON.parse made of them. */
export function jsonView(value) {
  const text = JSON.stringify(value, undefined, 2) ?? "null";
  const shown = text.slice(0, MAX_CHARS);
  const parts = [];
  let end = 0;
  for (const match of shown.matchAll(TOKENS)) {
    const [whole, quoted, colon] = match;
    parts.push(shown.slice(end, match.index));
    if (quoted === undefined) parts.push(h("span", { class: "other" }, whole));
    else
      parts.push(h("span", { class: colon === undefined ? "text" : "key" }, quoted), colon ?? "");
    end = match.index + whole.length;
  }
  parts.push(shown.slice(end));
  const left = text.length - shown.length;
  if (left > 0) parts.push(`\n… and ${left.toLocaleString()} more characters`);
  return h("pre", { tabindex: "0" }, parts);
}

/** The readable form of a diff: what came, went and changed, a line each. */
export function diffView(readable) {
  if (readable === "") return h("p", { class: "faint" }, "The documents are equal.");
  const tones = { "+": "plus", "-": "minus", "~": "turn" };
  const lines = readable.slice(0, MAX_CHARS).split("\n");
  return h(
    "pre",
    { tabindex: "0" },
    lines.map((line) => h("span", { class: tones[line[0]] ?? "turn" }, line)),
  );
}
