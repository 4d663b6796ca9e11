// What every agent does now: its working task, what comes next, and the changes as they happen.
import { ask, at } from "./api.mjs";
import { gather } from "./gather.mjs";
import { h, linkTo, show } from "./dom.mjs";
import { ago, lasting, nothing, phasePill, pill, shorten, stateLink, title } from "./words.mjs";

/** Phases of tasks that live, the ones that concern people first. */
const PHASES = [
  ["working", "working", "busy"],
  ["input_required", "ask a person", "ask"],
  ["auth_required", "ask for access", "ask"],
  ["confused", "confused", "bad"],
  ["ready", "ready", "next"],
  ["suspended", "set aside", "rest"],
  ["waiting", "waiting", "wait"],
  ["submitted", "to come", "wait"],
  ["canceling", "to be given up", "busy"],
];
const ALWAYS_SHOWN = new Set(["working", "input_required", "confused", "ready", "waiting"]);
const PAGE = 500;
const CARDS = 24;
const FEED = 40;

export async function nowView(context) {
  const board = new Board(context);
  await board.load();
}

class Board {
  #context;
  #tasks = new Map(); // id → { stack, phase, since, epoch }
  #agents = new Map(); // scope → phase
  #isPartial = false;
  #isStale = false; // something may have been missed: all is read again
  #isLoaded = false;
  #cards = new Map(); // stack → its card
  #dirty = new Set();
  #shown = [];
  #limit = CARDS;
  #redraw;
  #tiles = h("div", { class: "tiles", "aria-live": "off" });
  #grid = h("div", { class: "cards" });
  #more = h("div", { class: "row" });
  #feed = h("ol", { class: "feed", "aria-label": "changes" });

  constructor(context) {
    this.#context = context;
    this.#redraw = gather(context.signal, () => this.#drawDirty());
  }

  async load() {
    const { place, onChange } = this.#context;
    onChange((change) => this.#note(change));
    await this.#read();
    await this.#drawAll();
    show(
      place,
      title("Now"),
      this.#tiles,
      h(
        "div",
        { class: "two" },
        h("section", { "aria-label": "agents" }, this.#grid, this.#more),
        h("aside", { class: "card" }, h("h2", null, "Changes"), this.#feed),
      ),
    );
    this.#isLoaded = true;
    if (this.#isStale) this.#redraw();
  }

  async #read() {
    const list = (query) =>
      ask("/v1/states", { query: { ...query, limit: PAGE }, signal: this.#context.signal });
    const [agents, ...pages] = await Promise.all([
      list({ type: "agent" }),
      ...PHASES.map(([phase]) => list({ type: "task", phase })),
    ]);
    // What changed last, until more does; a list does not say who and why.
    show(this.#feed);
    const newest = [agents, ...pages].flatMap(({ items }) => items);
    newest.sort((a, b) => (a.updatedAt < b.updatedAt ? -1 : 1));
    for (const state of newest.slice(-FEED)) this.#tell({ ...state, at: state.updatedAt });
    this.#isPartial = [agents, ...pages].some(({ next }) => next !== undefined);
    this.#agents = new Map(agents.items.map(({ scope, phase }) => [scope, phase]));
    this.#tasks = new Map(
      pages.flatMap(({ items }) =>
        items.map((item) => [
          item.id,
          { stack: item.scope, phase: item.phase, since: item.updatedAt },
        ]),
      ),
    );
  }

  async #drawAll() {
    this.#drawTiles();
    const stacks = this.#order();
    const shown = stacks.slice(0, this.#limit);
    this.#shown = shown;
    for (const stack of this.#cards.keys()) if (!shown.includes(stack)) this.#cards.delete(stack);
    await Promise.all(shown.map((stack) => this.#drawCard(stack)));
    const cards = shown.map((stack) => this.#cards.get(stack));
    if (cards.length === 0) cards.push(empty());
    if (cards.some((card, index) => this.#grid.children[index] !== card)) show(this.#grid, cards);
    const left = stacks.length - shown.length;
    const showMore = () => {
      this.#limit += CARDS;
      void this.#drawAll();
    };
    show(
      this.#more,
      left > 0 && h("button", { onclick: showMore }, `Show more of ${left} others`),
      this.#isPartial &&
        h("p", { class: "faint small" }, `Only the first ${PAGE} of each kind are counted.`),
    );
  }

  #drawTiles() {
    const counts = new Map();
    for (const { phase } of this.#tasks.values()) counts.set(phase, (counts.get(phase) ?? 0) + 1);
    const tiles = PHASES.filter(([phase]) => ALWAYS_SHOWN.has(phase) || counts.has(phase));
    show(
      this.#tiles,
      tiles.map(([phase, text, tone]) => {
        const count = counts.get(phase) ?? 0;
        const href = linkTo(["states"], { type: "task", phase });
        const more = count >= PAGE ? "+" : "";
        return h(
          "a",
          { href, class: `tile ${tone} ${count === 0 ? "zero" : ""}` },
          h("b", null, `${count}${more}`),
          h("span", null, text),
        );
      }),
    );
  }

  /** Who works first, then who needs a person, then who has something to do, then the others. */
  #order() {
    const best = new Map([...this.#agents.keys()].map((stack) => [stack, PHASES.length]));
    for (const { stack, phase } of this.#tasks.values()) {
      const rank = PHASES.findIndex(([name]) => name === phase);
      best.set(stack, Math.min(best.get(stack) ?? PHASES.length, rank));
    }
    return [...best]
      .toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
      .map(([stack]) => stack);
  }

  async #drawCard(stack) {
    const known = this.#cards.get(stack);
    const card = known ?? newCard(stack);
    this.#cards.set(stack, card);
    const hasTasks = [...this.#tasks.values()].some((task) => task.stack === stack);
    const { signal } = this.#context;
    const items = hasTasks
      ? (await ask(at("v1", "stacks", stack), { query: { limit: 5 }, signal })).items
      : [];
    const count = [...this.#tasks.values()].filter((task) => task.stack === stack).length;
    const phase = this.#agents.get(stack);
    show(card.querySelector(".phase"), phase === undefined ? "" : phasePill(phase));
    const since = items.length === 0 ? undefined : await this.#sinceOf(items[0]);
    show(card.querySelector(".body"), items.length === 0 ? idle() : work(items, { count, since }));
    if (known === undefined) return;
    card.classList.remove("changed");
    requestAnimationFrame(() => card.classList.add("changed"));
  }

  /** Since when a task is in its phase: a checkpoint changes it and is no new beginning. */
  async #sinceOf({ id, epoch, phase }) {
    const known = this.#tasks.get(id);
    if (known === undefined || known.epoch === epoch) return known?.since;
    const path = at("v1", "states", id, "history");
    const { items } = await ask(path, { query: { limit: 50 }, signal: this.#context.signal });
    const end = items.findIndex((entry) => entry.phase !== phase);
    const since = items.at(end === -1 ? -1 : Math.max(0, end - 1))?.at ?? known.since;
    Object.assign(known, { epoch, since });
    return since;
  }

  #note(change) {
    if (change === undefined || !this.#isLoaded) {
      this.#isStale = true;
      if (this.#isLoaded) this.#redraw();
      return;
    }
    this.#tell(change);
    const { id, type, scope, phase, kind, at: time } = change;
    if (type !== "task" && type !== "agent") return;
    const isGone = kind === "delete" || !PHASES.some(([name]) => name === phase);
    if (type === "agent") this.#agents.set(scope, phase);
    else if (isGone) this.#tasks.delete(id);
    else if (this.#tasks.get(id)?.phase !== phase) {
      this.#tasks.set(id, { stack: scope, phase, since: time });
    }
    this.#dirty.add(scope);
    this.#redraw();
  }

  async #drawDirty() {
    const dirty = [...this.#dirty].filter((stack) => this.#cards.has(stack));
    this.#dirty.clear();
    if (this.#isStale) await this.#read();
    const order = this.#order().slice(0, this.#limit);
    if (this.#isStale || order.join("\n") !== this.#shown.join("\n")) {
      this.#isStale = false;
      await this.#drawAll();
      return;
    }
    this.#drawTiles();
    await Promise.all(dirty.map((stack) => this.#drawCard(stack)));
  }

  #tell({ id, type, scope, phase, kind = "update", actor, cause, at: time }) {
    const who = [actor, cause].filter((text) => text !== null && text !== undefined).join(": ");
    this.#feed.prepend(
      h(
        "li",
        null,
        h("div", { class: "line" }, stateLink(id), h("span", { class: "faint" }, ago(time))),
        h(
          "div",
          { class: "line" },
          h("span", { class: "faint" }, who === "" ? `${type} of ${shorten(scope, 24)}` : who),
          phase === null || phase === undefined ? pill(kind, "rest") : phasePill(phase),
        ),
      ),
    );
    while (this.#feed.children.length > FEED) this.#feed.lastElementChild.remove();
  }
}

function newCard(stack) {
  return h(
    "article",
    { class: "card", "data-stack": stack },
    h(
      "div",
      { class: "agent-head" },
      h("a", { href: linkTo(["stacks", stack]), title: stack }, stack),
      h("span", { class: "phase" }),
    ),
    h("div", { class: "body" }),
  );
}

function work([top, ...rest], { count, since }) {
  const left = count - 1 - rest.length;
  const tone = PHASES.find(([phase]) => phase === top.phase)?.[2] ?? "rest";
  return [
    h(
      "div",
      { class: `now ${tone}` },
      h("div", { class: "what" }, shorten(top.kind, 40), phasePill(top.phase)),
      h("div", { class: "faint small" }, whoAndSince(top, since)),
    ),
    rest.length > 0 &&
      h(
        "ol",
        { class: "queue", "aria-label": "what comes next" },
        rest.map(({ kind, phase }) =>
          h("li", null, h("span", null, shorten(kind, 30)), phasePill(phase)),
        ),
        left > 0 && h("li", { class: "faint" }, `and ${left} more`),
      ),
  ];
}

function whoAndSince({ lease, attempt, runAt }, since) {
  if (runAt !== undefined) return ["arrives ", ago(runAt)];
  const tries = attempt > 1 ? `, attempt ${attempt}` : "";
  if (lease === undefined) return since === undefined ? "" : [ago(since), tries];
  return [`${lease.worker}${tries}`, since !== undefined && [", for ", lasting(since)]];
}

function idle() {
  return h("p", { class: "faint small" }, "no task");
}

function empty() {
  return h(
    "div",
    { class: "card" },
    nothing(
      "No agent has a task, and there is no state of type agent.",
      "Push a first task: agent_runtime state push agent-1 --kind greet",
    ),
  );
}
