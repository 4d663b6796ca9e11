// One agent: its tasks in the order in which they run, and what is known of each.
import { ask, at } from "./api.mjs";
import { confirm } from "./dialog.mjs";
import { gather } from "./gather.mjs";
import { h, linkTo, show } from "./dom.mjs";
import { jsonView } from "./json-view.mjs";
import { ago, exactly, facts, nothing, phasePill, shorten, stateLink, title } from "./words.mjs";

const LIMIT = 200;

export async function stackView({ id: stack, place, signal, onChange }) {
  const list = h("ol", { class: "stack" });
  const open = new Set();
  let draws = 0;
  const draw = async () => {
    const turn = ++draws;
    const [{ items }, scope] = await Promise.all([
      ask(at("v1", "stacks", stack), { query: { limit: LIMIT }, signal }),
      ask(at("v1", "scopes", stack), { signal }).catch(() => undefined),
    ]);
    if (turn !== draws) return; // a newer look is under way
    const focused = document.activeElement?.closest("[data-task]")?.dataset.task;
    show(
      list,
      scope?.hold &&
        h("li", { class: "notice bad" }, `on hold: ${scope.holdReason ?? "no reason given"}`),
      items.map((task, index) => taskItem(task, { place: index + 1, open, signal, refresh: draw })),
      items.length === 0 &&
        h("li", { class: "card" }, nothing("Nothing to do.", "Its stack is empty.")),
    );
    const again = [...list.children].find(({ dataset }) => dataset.task === focused);
    if (focused !== undefined) again?.querySelector("summary").focus();
  };
  const redraw = gather(signal, draw);
  onChange((change) => {
    if (change === undefined || change.scope === stack) redraw();
  });
  await draw();
  show(
    place,
    title(
      stack,
      h("a", { class: "button", href: linkTo(["scopes", stack]) }, "Scope, holds and rollback"),
      h(
        "a",
        { class: "button", href: linkTo(["states"], { scope: stack, type: "task" }) },
        "All its tasks",
      ),
    ),
    h("p", { class: "faint" }, "In execution order: the working one first, then the newest."),
    list,
  );
}

function taskItem(task, { place, open, signal, refresh }) {
  const body = h("div");
  const fill = async () => {
    try {
      const details = await ask(at("v1", "tasks", task.id), { signal });
      show(body, taskDetails(details, refresh));
    } catch (error) {
      if (!signal.aborted) show(body, h("p", { class: "faint" }, error.message));
    }
  };
  const details = h(
    "details",
    { class: `card ${task.lease === undefined ? "" : "held"}`, open: open.has(task.id) },
    h(
      "summary",
      null,
      h("span", { class: "place" }, String(place)),
      h(
        "span",
        null,
        h("strong", null, shorten(task.kind, 60)),
        " ",
        h("span", { class: "faint small" }, about(task)),
      ),
      phasePill(task.phase),
    ),
    body,
  );
  details.addEventListener("toggle", () => {
    if (details.open) {
      open.add(task.id);
      void fill();
    } else {
      open.delete(task.id);
    }
  });
  return h("li", { "data-task": task.id }, details);
}

function about({ lease, attempt, priority, runAt, createdAt }) {
  return [
    lease !== undefined && `${lease.worker} · `,
    attempt > 1 && `attempt ${attempt} · `,
    priority !== 0 && `priority ${priority} · `,
    runAt === undefined ? ["pushed ", ago(createdAt)] : ["arrives ", ago(runAt)],
  ].flat();
}

function workerOf({ worker, since, until }) {
  const claimed = since === undefined ? "" : ` since ${exactly(since)}`;
  return `${worker}${claimed}, until ${exactly(until)} unless it goes on`;
}

function taskDetails(task, refresh) {
  const { lease, wait, parent, children, effects, results } = task;
  return [
    facts([
      ["task", stateLink(task.id)],
      ["worker", lease && workerOf(lease)],
      ["attempt", `${task.attempt}, epoch ${task.epoch}`],
      ["parent", parent && stateLink(parent)],
      ["children", children.length > 0 ? h("span", null, children.map(childOf)) : undefined],
      ["deadline", task.deadline && exactly(task.deadline)],
      [
        "effects",
        effects.length > 0
          ? effects.map(({ key, standing }) => `${key}: ${standing}`).join(", ")
          : undefined,
      ],
    ]),
    part("Input", task.input),
    part("Resume point", task.resumePoint),
    part("Waiting for", wait),
    part("Results", results.length > 0 ? results : undefined),
    part("Error", task.error),
    h(
      "div",
      { class: "row" },
      task.phase === "confused" &&
        h("button", { onclick: () => void retry(task, refresh) }, "Run it again"),
      h("button", { onclick: () => void cancel(task, refresh) }, "Cancel the task"),
    ),
  ];
}

function childOf({ id, phase }) {
  return [stateLink(id), " ", phasePill(phase), " "];
}

function part(heading, value) {
  if (value === undefined || value === null) return undefined;
  return [h("h2", { class: "small" }, heading), jsonView(value), h("p")];
}

async function cancel({ id, kind, stack }, refresh) {
  const done = await confirm({
    heading: "Cancel this task?",
    text: `${kind} on ${stack}, and every task that it pushed. A worker that holds one is told to give it up; what was done outside stays done.`,
    yes: "Cancel the task",
    grave: true,
    fields: [{ name: "reason", label: "Reason", maxlength: 1000 }],
    act: ({ reason }) =>
      ask(at("v1", "tasks", id, "cancel"), { method: "POST", body: given({ reason }) }),
  });
  if (done !== undefined) await refresh();
}

async function retry({ id, kind, stack }, refresh) {
  const done = await confirm({
    heading: "Run this task again?",
    text: `${kind} on ${stack} is confused: see first that what confused it was put right.`,
    yes: "Run it again",
    fields: [{ name: "reason", label: "Reason", maxlength: 1000 }],
    act: ({ reason }) =>
      ask(at("v1", "tasks", id, "retry"), { method: "POST", body: given({ reason }) }),
  });
  if (done !== undefined) await refresh();
}

function given({ reason }) {
  return reason === "" ? {} : { reason };
}
