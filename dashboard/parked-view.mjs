// Messages that came in and could never be applied: why, and what to do with them.
import { ask, at } from "./api.mjs";
import { confirm } from "./dialog.mjs";
import { h, linkTo, show } from "./dom.mjs";
import { jsonView } from "./json-view.mjs";
import { ago, nothing, pill, table, title } from "./words.mjs";

const LIMIT = 50;

export async function parkedView({ query, place, signal, refresh }) {
  const page = await ask("/v1/parked", { query: { limit: LIMIT, after: query.after }, signal });
  show(
    place,
    title("Parked messages"),
    h(
      "p",
      { class: "faint" },
      "They block nobody. Fix the cause, then apply them again, or discard them.",
    ),
    h(
      "section",
      { class: "card" },
      page.items.length === 0
        ? nothing("No message is parked.")
        : table(
            ["number", "why", "topic", "parked", ""],
            page.items.map((item) => cellsOf(item, refresh)),
          ),
    ),
    page.next !== undefined &&
      h("a", { class: "button", href: linkTo(["parked"], { after: page.next }) }, "Next page"),
  );
}

function cellsOf(item, refresh) {
  const { number, code, detail, topic, parkedAt } = item;
  return [
    number,
    h(
      "span",
      null,
      pill(code ?? "refused", "bad"),
      h("div", { class: "faint small" }, detail ?? ""),
    ),
    topic,
    ago(parkedAt),
    h(
      "span",
      { class: "row" },
      h("button", { onclick: () => void look(number) }, "Look"),
      h("button", { onclick: () => void redrive(number, refresh) }, "Apply again"),
      h("button", { onclick: () => void discard(number, refresh) }, "Discard"),
    ),
  ];
}

async function look(number) {
  const message = await ask(at("v1", "parked", number));
  await confirm({ heading: `Message ${number}`, body: jsonView(message) });
}

async function redrive(number, refresh) {
  const done = await confirm({
    heading: `Apply message ${number} again?`,
    text: "It is applied once, as if it had just arrived. If it is refused again, it stays parked.",
    yes: "Apply it",
    act: () => ask(at("v1", "parked", number, "redrive"), { method: "POST" }),
  });
  if (done !== undefined) refresh();
}

async function discard(number, refresh) {
  const done = await confirm({
    heading: `Discard message ${number}?`,
    text: "This cannot be undone.",
    yes: "Discard it",
    grave: true,
    act: () => ask(at("v1", "parked", number), { method: "DELETE" }),
  });
  if (done !== undefined) refresh();
}
