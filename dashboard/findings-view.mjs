// What the confusion detector found, and how its newest runs went.
import { ask } from "./api.mjs";
import { h, linkTo, show } from "./dom.mjs";
import { ago, nothing, pill, scopeLink, stateLink, table, title } from "./words.mjs";

const LIMIT = 50;

export async function findingsView({ query, place, signal }) {
  const all = query.all === "true";
  const page = await ask("/v1/fsck", {
    query: { all: all ? "true" : undefined, before: query.before, limit: LIMIT },
    signal,
  });
  const other = linkTo(["findings"], { all: all ? undefined : "true" });
  show(
    place,
    title(
      "Confusion",
      h("a", { class: "button", href: other }, all ? "Only open" : "Include settled"),
    ),
    h("section", { class: "cards" }, page.runs.map(runCard)),
    h("p"),
    h(
      "section",
      { class: "card" },
      page.items.length === 0
        ? nothing("Nothing is confused.", "All copies agree, as far as they were checked.")
        : table(["check", "where", "what", "what to do", "found"], page.items.map(cellsOf)),
    ),
    page.next !== undefined &&
      h(
        "a",
        { class: "button", href: linkTo(["findings"], { ...query, before: page.next }) },
        "Older",
      ),
  );
}

function runCard({ what, endedAt, checked, checks }) {
  const failed = checks.filter(({ status }) => status === "failed");
  const skipped = checks.filter(({ status }) => status !== "passed" && status !== "failed");
  return h(
    "div",
    { class: "card" },
    h(
      "div",
      { class: "agent-head" },
      h("strong", null, what),
      failed.length === 0
        ? pill("nothing found", "good")
        : pill(`${failed.length} found something`, "bad"),
    ),
    h("p", { class: "faint small" }, `${checked} states checked, `, ago(endedAt)),
    h("p", { class: "faint small" }, checks.map(({ check }) => check).join(" ")),
    skipped.length > 0 &&
      h("p", { class: "faint small" }, `left out: ${skipped.map(({ check }) => check).join(" ")}`),
  );
}

function cellsOf({ check, kind, scope, id, detail, remedy, resolvedAt, foundAt }) {
  return [
    h(
      "span",
      null,
      pill(check, resolvedAt ? "good" : "bad"),
      h("div", { class: "faint small" }, kind),
    ),
    h("span", null, scope && scopeLink(scope), id && [h("br"), stateLink(id)]),
    detail,
    h("span", { class: "faint" }, remedy),
    ago(foundAt),
  ];
}
