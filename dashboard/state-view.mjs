// One state: its document, its history, and what changed between two versions.
import { ask, at } from "./api.mjs";
import { gather } from "./gather.mjs";
import { h, linkTo, show } from "./dom.mjs";
import { diffView, jsonView } from "./json-view.mjs";
import {
  ago,
  exactly,
  facts,
  phasePill,
  pill,
  scopeLink,
  shorten,
  table,
  title,
} from "./words.mjs";

const LIMIT = 25;

export async function stateView({ id, query, place, signal, refresh, onChange }) {
  const isOld = query.version !== undefined;
  const redraw = gather(signal, refresh);
  onChange((change) => {
    const isShown = !isOld && query.before === undefined;
    if (isShown && (change === undefined || change.id === id)) redraw();
  });
  const path = at("v1", "states", id);
  const [state, history] = await Promise.all([
    ask(path, { query: { version: query.version }, signal }).catch(tombstone),
    ask(`${path}/history`, { query: { limit: LIMIT, before: query.before }, signal }),
  ]);
  const newest = history.items[0];
  const shown = { ...newest, ...state };
  show(
    place,
    title(
      id,
      phasePill(shown.phase),
      isOld && h("a", { class: "button", href: linkTo(["states", id]) }, "Newest version"),
    ),
    h(
      "div",
      { class: "halves" },
      h(
        "section",
        null,
        h("div", { class: "card" }, factsOf(shown)),
        h("div", { class: "card" }, documentOf(state, query)),
      ),
      historyPart({ id, query, history, path, signal }),
    ),
  );
}

/** One that was deleted has no document, and still a history. */
function tombstone(error) {
  if (error.code === "GONE") return { isGone: true };
  throw error;
}

function factsOf({
  type,
  scope,
  version,
  step,
  createdAt,
  updatedAt,
  at: time,
  expiresAt,
  digest,
}) {
  return facts([
    ["type", type],
    ["scope", scope && scopeLink(scope)],
    ["version", h("span", null, version, h("span", { class: "faint" }, `, at step ${step}`))],
    ["made", createdAt && exactly(createdAt)],
    ["changed", h("span", null, ago(updatedAt ?? time))],
    ["expires", expiresAt ? exactly(expiresAt) : undefined],
    ["digest", h("code", { class: "faint", title: digest }, shorten(digest, 21))],
  ]);
}

function documentOf(state, { version }) {
  if (state.isGone) return [h("h2", null, "Document"), pill("deleted", "bad")];
  return [
    h("h2", null, version === undefined ? "Document" : `Document at version ${version}`),
    jsonView(state.data),
  ];
}

function historyPart({ id, query, history, path, signal }) {
  const versions = history.items.map(({ version }) => version);
  const diff = h("div");
  const choose = (name, chosen) =>
    h(
      "select",
      { name, "aria-label": `${name} version`, onchange: () => void compare() },
      versions.map((version) =>
        h("option", { value: version, selected: version === chosen }, version),
      ),
    );
  const from = choose("from", versions[1] ?? versions[0]);
  const to = choose("to", versions[0]);
  async function compare() {
    try {
      const told = await ask(`${path}/diff`, { query: { from: from.value, to: to.value }, signal });
      show(diff, diffView(told.readable));
    } catch (error) {
      if (!signal.aborted) show(diff, h("p", { class: "faint" }, error.message));
    }
  }
  if (versions.length > 1) void compare();
  const older = history.next;
  return h(
    "section",
    null,
    versions.length > 1 &&
      h(
        "div",
        { class: "card" },
        h(
          "div",
          { class: "agent-head" },
          h("h2", null, "What changed"),
          h("div", { class: "row" }, from, "→", to),
        ),
        diff,
      ),
    h(
      "div",
      { class: "card" },
      h("h2", null, "History"),
      table(
        ["version", "kind", "phase", "who and why", "when"],
        history.items.map((entry) => cellsOf(id, entry)),
      ),
      h(
        "div",
        { class: "row" },
        query.before !== undefined &&
          h("a", { class: "button", href: linkTo(["states", id]) }, "Newest"),
        older !== undefined &&
          h("a", { class: "button", href: linkTo(["states", id], { before: older }) }, "Older"),
      ),
    ),
  );
}

function cellsOf(id, { version, kind, phase, actor, cause, at: time }) {
  const who = [actor, cause].filter((text) => text !== null).join(": ");
  return [
    h("a", { href: linkTo(["states", id], { version }) }, version),
    kind,
    phasePill(phase),
    h("span", { class: "faint" }, who === "" ? "–" : who),
    ago(time),
  ];
}
