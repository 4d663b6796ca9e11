// A scope as a whole: where it stands, what is in it, and the orders of an operator.
import { ask, at } from "./api.mjs";
import { confirm } from "./dialog.mjs";
import { gather } from "./gather.mjs";
import { h, linkTo, show } from "./dom.mjs";
import { ago, facts, nothing, phasePill, pill, stateLink, table, title } from "./words.mjs";

const LIMIT = 50;

/** There is no list of scopes: one is looked for by its name. */
export function scopesView({ place }) {
  const open = (event) => {
    event.preventDefault();
    const scope = event.target.elements.scope.value.trim();
    if (scope !== "") location.hash = linkTo(["scopes", scope]);
  };
  show(
    place,
    title("Scopes"),
    h(
      "p",
      { class: "faint" },
      "A scope steps and rolls back as a whole: normally an agent with all its states.",
    ),
    h(
      "form",
      { class: "filters", onsubmit: open },
      h(
        "label",
        null,
        "scope",
        h("input", { name: "scope", required: true, autocomplete: "off", maxlength: 200 }),
      ),
      h("button", { class: "main" }, "Open"),
    ),
  );
  return Promise.resolve();
}

export async function scopeView({ id: scope, query, place, signal, refresh, onChange }) {
  const redraw = gather(signal, refresh);
  onChange((change) => {
    if (change === undefined || change.scope === scope) redraw();
  });
  const path = at("v1", "scopes", scope);
  const [standing, states] = await Promise.all([
    ask(path, { signal }),
    ask("/v1/states", { query: { scope, limit: LIMIT, after: query.after }, signal }),
  ]);
  show(
    place,
    title(
      scope,
      standing.hold
        ? h("button", { onclick: () => void release(standing, refresh) }, "Release")
        : h("button", { onclick: () => void holdIt(standing, refresh) }, "Hold"),
      h("button", { onclick: () => void rollBack(standing, refresh) }, "Roll back …"),
      h("a", { class: "button", href: linkTo(["stacks", scope]) }, "Its tasks"),
    ),
    standing.hold &&
      h(
        "div",
        { class: "notice bad" },
        `On hold: ${standing.holdReason ?? "no reason was given"}. Nothing is written until it is released.`,
      ),
    h(
      "div",
      { class: "halves" },
      h("section", null, h("div", { class: "card" }, factsOf(standing)), rollbacksOf(standing)),
      h(
        "section",
        { class: "card" },
        h("h2", null, "States in it"),
        states.items.length === 0
          ? nothing("None lives.")
          : table(["id", "type", "phase", "version", "changed"], states.items.map(cellsOf)),
        states.next !== undefined &&
          h(
            "a",
            { class: "button", href: linkTo(["scopes", scope], { after: states.next }) },
            "Next page",
          ),
      ),
    ),
  );
}

function factsOf({ step, rollbackStep, hold, quarantined }) {
  return facts([
    ["HEAD", `step ${step}`],
    ["rollback database", rollbackStep === null ? "has nothing of it" : `step ${rollbackStep}`],
    ["standing", hold ? pill("on hold", "bad") : pill("open", "good")],
    ["quarantined steps", quarantined.length === 0 ? "none" : quarantined.join(", ")],
  ]);
}

function rollbacksOf({ rollbacks }) {
  if (rollbacks.length === 0) return undefined;
  const cells = rollbacks.map((one) => [
    `${one.undoneStep} → ${one.restoredStep}`,
    one.source ?? "–",
    h("span", { class: "faint" }, [one.actor, one.reason].filter(Boolean).join(": ") || "–"),
    ago(one.at),
  ]);
  return h(
    "div",
    { class: "card" },
    h("h2", null, "Ways back"),
    table(["from → to", "source", "who and why", "when"], cells),
  );
}

function cellsOf({ id, type, phase, version, updatedAt }) {
  return [stateLink(id), type, phasePill(phase), version, ago(updatedAt)];
}

async function holdIt({ scope }, refresh) {
  const done = await confirm({
    heading: "Put this scope on hold?",
    text: `Nothing in ${scope} is written or promoted to the rollback database until it is released.`,
    yes: "Hold it",
    grave: true,
    fields: [{ name: "reason", label: "Reason", maxlength: 1000 }],
    act: (given) => order(scope, "hold", reasonOf(given)),
  });
  if (done !== undefined) refresh();
}

async function release({ scope, holdReason }, refresh) {
  const done = await confirm({
    heading: "Release this scope?",
    text: `It is on hold because: ${holdReason ?? "no reason was given"}. Writes will be accepted again.`,
    yes: "Release it",
    fields: [{ name: "reason", label: "Reason", maxlength: 1000 }],
    act: (given) => order(scope, "release", reasonOf(given)),
  });
  if (done !== undefined) refresh();
}

/** First to where, then the plan of it, then yes: only the plan that was seen is carried out. */
async function rollBack({ scope, step, rollbackStep }, refresh) {
  let plan;
  const asked = await confirm({
    heading: "Roll back to which step?",
    text: `HEAD is step ${step}; the rollback database holds ${rollbackStep ?? "none"}. Empty: the newest good step before HEAD.`,
    yes: "Show the plan",
    fields: [
      { name: "toStep", label: "Back to step", inputmode: "numeric", pattern: "[0-9]*" },
      { name: "reason", label: "Reason", maxlength: 1000 },
    ],
    act: async ({ toStep, reason }) => {
      const target = toStep === "" ? {} : { toStep };
      plan = await order(scope, "rollback", { ...target, ...reasonOf({ reason }), dryRun: true });
    },
  });
  if (asked === undefined) return;
  const done = await confirm({
    heading: `Back to step ${plan.restoredStep}?`,
    text: `Appends step ${plan.step}; no history is lost. Running tasks are fenced, and what they did outside is not undone.`,
    body: planTable(plan),
    yes: "Roll back",
    grave: true,
    act: () =>
      order(scope, "rollback", {
        toStep: plan.restoredStep,
        expectedStep: plan.undoneStep,
        source: plan.source,
        ...reasonOf(asked),
      }),
  });
  if (done !== undefined) refresh();
}

function planTable({ states, quarantined, source, fenced, effects }) {
  const cells = states.map(({ id, action, version, targetVersion }) => [
    stateLink(id),
    action,
    targetVersion === "0" ? version : `${version} → ${targetVersion}`,
  ]);
  return [
    facts([
      ["documents from", source === "rollback" ? "the rollback database" : "main's history"],
      ["steps quarantined", quarantined.length === 0 ? "none" : quarantined.join(", ")],
      ["tasks taken from their workers", fenced.length === 0 ? "none" : fenced.join(", ")],
      [
        "done outside, and not undone",
        effects.length === 0
          ? "nothing"
          : effects.map(({ task, key }) => `${key} by ${task}`).join(", "),
      ],
      ["states", String(states.length)],
    ]),
    h("p"),
    states.length > 0 && table(["state", "what", "version"], cells),
  ];
}

function order(scope, name, body) {
  return ask(at("v1", "scopes", scope, name), { method: "POST", body });
}

function reasonOf({ reason }) {
  return reason === "" ? {} : { reason };
}
