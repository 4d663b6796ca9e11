// All states of a namespace, page by page, and a search in them.
import { ask } from "./api.mjs";
import { h, linkTo, show } from "./dom.mjs";
import { ago, nothing, phasePill, scopeLink, stateLink, table, title } from "./words.mjs";

const LIMIT = 50;
const FIELDS = [
  ["prefix", "id begins with"],
  ["type", "type"],
  ["scope", "scope"],
  ["phase", "phase"],
];

export async function statesView({ query, place, signal }) {
  const { prefix, type, scope, phase, after } = query;
  const page = await ask("/v1/states", {
    query: { idPrefix: prefix, type, scope, phase, after, limit: LIMIT },
    signal,
  });
  show(
    place,
    title("States"),
    filters(query),
    h(
      "section",
      { class: "card" },
      page.items.length === 0
        ? nothing(
            "No state matches.",
            "Empty fields match anything; type and phase must match exactly.",
          )
        : table(["id", "type", "scope", "phase", "version", "changed"], page.items.map(cellsOf)),
    ),
    h(
      "div",
      { class: "row" },
      after !== undefined && h("button", { onclick: () => history.back() }, "Page before"),
      after !== undefined &&
        h(
          "a",
          { class: "button", href: linkTo(["states"], { ...query, after: undefined }) },
          "First page",
        ),
      page.next !== undefined &&
        h(
          "a",
          { class: "button", href: linkTo(["states"], { ...query, after: page.next }) },
          "Next page",
        ),
    ),
  );
}

function filters(query) {
  const submit = (event) => {
    event.preventDefault();
    const values = FIELDS.map(([name]) => [name, event.target.elements[name].value.trim()]);
    location.hash = linkTo(["states"], Object.fromEntries(values));
  };
  return h(
    "form",
    { class: "filters", onsubmit: submit },
    FIELDS.map(([name, text]) =>
      h("label", null, text, h("input", { name, value: query[name] ?? "", autocomplete: "off" })),
    ),
    h("button", { class: "main" }, "Find"),
  );
}

function cellsOf({ id, type, scope, phase, version, updatedAt }) {
  return [stateLink(id), type, scopeLink(scope), phasePill(phase), version, ago(updatedAt)];
}
