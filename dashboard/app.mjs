// Starts the page: which view is shown, who asks, and the one stream of changes behind all views.
import { Refusal, session } from "./api.mjs";
import { confirm } from "./dialog.mjs";
import { h, linkTo, show } from "./dom.mjs";
import { watch } from "./live.mjs";
import { tick } from "./words.mjs";
import { findingsView } from "./findings-view.mjs";
import { nowView } from "./now-view.mjs";
import { parkedView } from "./parked-view.mjs";
import { partsView } from "./parts-view.mjs";
import { scopeView, scopesView } from "./scope-view.mjs";
import { stackView } from "./stack-view.mjs";
import { stateView } from "./state-view.mjs";
import { statesView } from "./states-view.mjs";

const THEME = "agent-runtime-state.theme";
const find = (name) => document.querySelector(`[data-${name}]`);
const place = find("view");

/** Each view by the first part of its address; with a name behind it, of one thing. */
const VIEWS = {
  "": [nowView],
  stacks: [nowView, stackView],
  states: [statesView, stateView],
  scopes: [scopesView, scopeView],
  findings: [findingsView],
  parked: [parkedView],
  parts: [partsView],
};

let shown = new AbortController();
let watching = new AbortController();
let isAsking = false;
const listeners = new Set();

function addressNow() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [name = "", id] = path.split("/").map(decoded);
  return { name, id, query: Object.fromEntries(new URLSearchParams(search)) };
}

async function render({ keepsPlace = false } = {}) {
  shown.abort();
  shown = new AbortController();
  listeners.clear();
  const { signal } = shown;
  const { name, id, query } = addressNow();
  markTab(name);
  const [list, one] = VIEWS[name] ?? VIEWS[""];
  const draft = h("div");
  const context = {
    id,
    query,
    signal,
    place: draft,
    refresh: () => void render({ keepsPlace: true }),
    onChange: (listener) => listeners.add(listener),
  };
  try {
    await (id === undefined || one === undefined ? list : one)(context);
    if (signal.aborted) return;
  } catch (error) {
    if (signal.aborted) return;
    showFault(draft, error);
  }
  show(place, draft);
  if (!keepsPlace) {
    place.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function showFault(draft, error) {
  const again = h("button", { onclick: () => void render() }, "Try again");
  if (error instanceof Refusal && error.status === 401) void askForToken(error.message);
  const text = error instanceof Refusal ? error.message : "the service does not answer";
  show(draft, h("div", { class: "notice bad", role: "alert" }, h("p", null, text), again));
  if (!(error instanceof Refusal)) console.error(error);
}

function markTab(name) {
  const [, wanted] = linkTo([name === "stacks" ? "" : name]).split("#");
  for (const link of find("tabs").children) {
    if (link.getAttribute("href") === `#${wanted}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Resolves once changes are heard, or cannot be: what is read after that misses none. */
function startWatching() {
  watching.abort();
  watching = new AbortController();
  const told = {
    live: ["live", "live-now"],
    reconnecting: ["reconnecting", ""],
    refused: ["not live", "refused"],
  };
  return new Promise((resolve) => {
    void watch({
      signal: watching.signal,
      onChange: (change) => listeners.forEach((listener) => listener(change)),
      onGap: () => listeners.forEach((listener) => listener(undefined)),
      onStanding: (standing) => {
        const [text, tone] = told[standing];
        find("live").textContent = text;
        find("live").className = `live ${tone}`;
        resolve();
      },
    });
  });
}

async function askForToken(text) {
  if (isAsking) return;
  isAsking = true;
  const given = await confirm({
    heading: "Who asks?",
    text: text ?? "The token is kept in this tab only, until it is closed. Empty: none.",
    yes: "Use this token",
    fields: [{ name: "token", label: "Token", type: "password", autocomplete: "off" }],
  });
  isAsking = false;
  if (given === undefined) return;
  session.token = given.token;
  beginAnew();
}

function beginAnew() {
  find("token").textContent = session.token === "" ? "Token" : "Token ✓";
  void startWatching().then(() => render());
}

function turnTheme() {
  const prefersDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const current = document.documentElement.dataset.theme ?? (prefersDark ? "dark" : "light");
  const next = current === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem(THEME, next);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const theme = localStorage.getItem(THEME);
if (theme !== null) document.documentElement.dataset.theme = theme;
find("namespace").value = session.namespace;
find("namespace").placeholder = "default";
find("namespace").addEventListener("change", ({ target }) => {
  session.namespace = target.value.trim();
  beginAnew();
});
find("token").addEventListener("click", () => void askForToken());
find("theme").addEventListener("click", turnTheme);
find("skip").addEventListener("click", (event) => (event.preventDefault(), place.focus()));
find("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const { value } = event.target.elements.prefix;
  location.hash = linkTo(["states"], { prefix: value.trim() });
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, dialog") !== null) return;
  event.preventDefault();
  find("find").elements.prefix.focus();
});
addEventListener("hashchange", () => void render());
setInterval(tick, 1_000);
beginAnew();
