// The parts of the service: what each runs on, how well it is, how far behind.
import { ask } from "./api.mjs";
import { h, show } from "./dom.mjs";
import { facts, pill, spanText, title } from "./words.mjs";

const EVERY_MS = 3_000;
const TONES = { ok: "good", off: "rest", none: "rest", starting: "wait" };
const NAMES = {
  main: "Main database",
  readonly: "Replica for reads",
  rollback: "Rollback database",
  cache: "Cache",
  messages: "Messages",
  fsck: "Confusion detector",
  tasks: "Tasks",
};

export async function partsView({ place, signal }) {
  const cards = h("section", { class: "meters" });
  const about = h("p", { class: "faint" });
  const draw = async () => {
    const info = await ask("/v1/info", { signal });
    about.textContent = `version ${info.version} on ${info.host} (Node.js ${info.node}), up for ${spanText(info.uptimeSeconds * 1_000)}`;
    show(cards, Object.entries(info.parts).map(partCard));
  };
  await draw();
  show(place, title("Parts"), about, cards);
  const timer = setInterval(() => void draw().catch(() => undefined), EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

function partCard([name, { health, ...rest }]) {
  return h(
    "article",
    { class: "card", "data-part": name },
    h(
      "div",
      { class: "agent-head" },
      h("h2", null, NAMES[name] ?? name),
      pill(health, TONES[health] ?? "bad"),
    ),
    facts(Object.entries(rest).flatMap(([key, value]) => pairsOf(key, value))),
  );
}

/** What a part says of itself, each in words; what is nested is told flat. */
function pairsOf(key, value) {
  if (value !== null && typeof value === "object") {
    return Object.entries(value).flatMap(([inner, one]) => pairsOf(`${key} ${inner}`, one));
  }
  return [[wordsOf(key), textOf(key, value)]];
}

function wordsOf(key) {
  return key.replaceAll(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`).replace(/ ms$/, "");
}

function textOf(key, value) {
  if (value === null) return "not known yet";
  if (key.endsWith("Ms")) return value < 1_000 ? `${Math.round(value)} ms` : spanText(value);
  if (key.endsWith("At")) return new Date(value).toLocaleTimeString();
  if (key.endsWith("Share")) return `${Math.round(value * 100)} %`;
  return typeof value === "number" ? value.toLocaleString() : String(value);
}
