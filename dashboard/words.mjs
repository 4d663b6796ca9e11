// Words and small pieces that several views show.
import { serverNow } from "./api.mjs";
import { h, linkTo } from "./dom.mjs";

/** Phases by how much they ask of whoever looks. */
const TONES = {
  working: "busy",
  busy: "busy",
  running: "busy",
  canceling: "busy",
  input_required: "ask",
  auth_required: "ask",
  ready: "next",
  suspended: "rest",
  waiting: "wait",
  submitted: "wait",
  confused: "bad",
  failed: "bad",
  unreachable: "bad",
  unknown: "bad",
  completed: "good",
  idle: "good",
};

/** A phase as a word with a colour of its own; the word alone says all. */
export function phasePill(phase) {
  if (phase === null || phase === undefined) return h("span", { class: "faint" }, "–");
  return h("span", { class: `pill ${TONES[phase] ?? "rest"}` }, phase.replaceAll("_", " "));
}

/** A word on a coloured ground: good, wait, ask, bad, busy, next, rest. */
export function pill(text, tone) {
  return h("span", { class: `pill ${tone}` }, text);
}

/** How long ago; `tick` keeps it true. */
export function ago(time) {
  if (time === null || time === undefined) return h("span", { class: "faint" }, "–");
  const text = sinceText(time);
  return h("time", { datetime: time, title: exactly(time), "data-since": time }, text);
}

/** For how long now; `tick` keeps it true. */
export function lasting(time) {
  const text = spanText(serverNow() - Date.parse(time));
  return h(
    "time",
    { datetime: time, title: exactly(time), "data-since": time, "data-lasts": true },
    text,
  );
}

/** Makes the times on the page true again. */
export function tick() {
  for (const element of document.querySelectorAll("time[data-since]")) {
    const { since, lasts } = element.dataset;
    const text = lasts === undefined ? sinceText(since) : spanText(serverNow() - Date.parse(since));
    if (element.textContent !== text) element.textContent = text;
  }
}

/** A span of milliseconds in the unit that says most. */
export function spanText(ms) {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${Math.max(0, seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** A point in time in full, by the clock of the reader. */
export function exactly(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** An id that leads to its state, shortened in the middle where it is long. */
export function stateLink(id) {
  return h("a", { href: linkTo(["states", id]), class: "id", title: id }, shorten(id, 27));
}

export function scopeLink(scope) {
  return h("a", { href: linkTo(["scopes", scope]), class: "id", title: scope }, shorten(scope, 27));
}

export function shorten(text, length) {
  if (text.length <= length) return text;
  const half = Math.floor((length - 1) / 2);
  return `${text.slice(0, half)}…${text.slice(-half)}`;
}

/** A heading with what can be done beside it. */
export function title(text, ...beside) {
  return h("div", { class: "title" }, h("h1", null, text), h("div", { class: "row" }, beside));
}

/** Names and values, one pair a line. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined);
  return h(
    "dl",
    { class: "facts" },
    shown.map(([name, value]) => [h("dt", null, name), h("dd", null, value ?? "–")]),
  );
}

/** A table that scrolls by itself where the window is narrow. */
export function table(columns, rows) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "table" },
    h(
      "table",
      null,
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          columns.map((column) => h("th", { scope: "col" }, column)),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map((cells) =>
          h(
            "tr",
            null,
            cells.map((cell) => h("td", null, cell)),
          ),
        ),
      ),
    ),
  );
}

/** Says that there is nothing, and what that means. */
export function nothing(text, hint) {
  return h(
    "div",
    { class: "nothing" },
    h("p", null, text),
    hint && h("p", { class: "faint" }, hint),
  );
}

function sinceText(time) {
  const ms = serverNow() - Date.parse(time);
  return ms < -1_000 ? `in ${spanText(-ms)}` : `${spanText(ms)} ago`;
}
