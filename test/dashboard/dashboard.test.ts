import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestContext } from "vitest";
import type { BrowserContextOptions } from "playwright-core";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { StateStore } from "../../src/state/ports.ts";
import { openSomeBench } from "../server/faces.ts";
import { serve } from "../server/serve.ts";
import type { Served } from "../server/serve.ts";
import { TestBrowser } from "../support/browser.ts";
import type { TestPage } from "../support/browser.ts";
import type { Bench } from "../support/manager.ts";

const browser = new TestBrowser();
let bench: Bench;
let manager: StateManager;
let store: StateStore;
let served: Served;

const info = () => ({
  version: "0",
  node: process.version,
  host: "here",
  uptimeSeconds: 61,
  parts: { main: { health: "ok", runsOn: "PostgreSQL" }, readonly: { health: "ok", lagMs: 7 } },
});

beforeAll(async () => {
  bench = await openSomeBench();
  manager = bench.openManager();
  store = bench.openStore();
  served = await serve(manager, { info, feedHead: () => manager.feedHead() });
});
afterAll(async () => {
  await browser.close();
  await served.close();
  await bench.close();
});

/** The dashboard in a namespace that nobody else writes to. */
async function openDashboard(
  context: TestContext,
  hash = "#/",
  options: BrowserContextOptions = {},
): Promise<TestPage & { readonly namespace: string }> {
  const namespace = `n-${randomUUID()}`;
  const opened = await browser.open(context, options);
  const keep = `sessionStorage.setItem("agent-runtime-state.namespace", "${namespace}")`;
  await opened.page.addInitScript({ content: keep });
  await opened.page.goto(served.url + hash);
  return { ...opened, namespace };
}

test("who works on what is shown, and what changes shows without a reload", async (context) => {
  const { page, namespace, complaints, requests } = await openDashboard(context);
  await page.getByText("No agent has a task").waitFor();
  await page.locator(".live", { hasText: /^live$/ }).waitFor();

  await manager.tasks.push("agent-1", { namespace, kind: "below" });
  await manager.tasks.push("agent-1", { namespace, kind: "above" });
  const card = page.locator('[data-stack="agent-1"]');
  await card.locator(".now", { hasText: "above" }).waitFor();
  const worker = { namespace, worker: "worker-7", incarnation: "1" };
  const [task] = await manager.tasks.claim(worker);
  await card.locator(".now", { hasText: "working" }).waitFor();
  await card.getByText("worker-7, for").waitFor();
  await page.locator(".tile.busy b", { hasText: /^1$/ }).waitFor();

  await manager.tasks.complete(task!.id, { namespace, epoch: task!.epoch });
  await card.locator(".now", { hasText: "below" }).waitFor();
  await page.locator(".feed", { hasText: "completed" }).waitFor();

  await card.getByRole("link", { name: "agent-1" }).click();
  await page.getByRole("heading", { name: "agent-1" }).waitFor();
  await page.locator(".stack summary", { hasText: "below" }).click();
  await page.getByText("epoch 0").waitFor();
  await manager.tasks.push("agent-1", { namespace, kind: "newest" });
  await page.locator(".stack > li").first().getByText("newest").waitFor();
  expect(await page.locator(".stack summary strong").allTextContents()).toEqual([
    "newest",
    "below",
  ]);
  expect(complaints).toEqual([]);
  expect(requests.filter((url) => !url.startsWith(served.url))).toEqual([]);
});

test("a task is canceled once that was confirmed, and not before", async (context) => {
  const { page, namespace } = await openDashboard(context, "#/stacks/agent-1");
  const { id } = await manager.tasks.push("agent-1", { namespace, kind: "doomed" });
  await page.locator(".stack summary", { hasText: "doomed" }).click();
  const button = page.getByRole("button", { name: "Cancel the task" });
  await button.first().click();
  await page.getByRole("button", { name: "Do nothing" }).click();
  expect((await manager.tasks.get(id, { namespace })).phase).toBe("ready");
  await button.first().click();
  await page.getByLabel("Reason").fill("not needed");
  await page.locator("dialog").getByRole("button", { name: "Cancel the task" }).click();
  await page.getByText("Nothing to do.").waitFor();
  expect((await manager.tasks.get(id, { namespace })).phase).toBe("canceled");
});

test("states are found page by page, and each has its document, its history and what changed", async (context) => {
  const { page, namespace } = await openDashboard(context, "#/states");
  await page.getByText("No state matches.").waitFor();
  for (let n = 0; n < 60; n++) {
    await manager.updateState(`note-${String(n).padStart(2, "0")}`, "note", { n }, { namespace });
  }
  await manager.updateState("note-07", "note", { n: 8, added: true }, { namespace, cause: "why" });

  await page.getByRole("textbox", { name: "id begins with" }).fill("note-");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByText("note-49").first().waitFor();
  expect(await page.locator("tbody tr").count()).toBe(50);
  await page.getByRole("link", { name: "Next page" }).click();
  await page.getByText("note-59").first().waitFor();
  expect(await page.locator("tbody tr").count()).toBe(10);
  await page.goBack();
  await page.getByRole("link", { name: "note-07" }).first().click();
  await page.locator("pre", { hasText: '"added": true' }).waitFor();
  await page.locator("pre .plus", { hasText: "/added" }).waitFor();
  await page.locator("pre .turn", { hasText: "/n: 7 → 8" }).waitFor();
  await page.locator("td", { hasText: "why" }).waitFor();
  await page.getByRole("link", { name: "1", exact: true }).click();
  await page.getByText("Document at version 1").waitFor();
  await page.getByRole("link", { name: "Newest version" }).click();
  await manager.deleteState("note-07", { namespace });
  await page.getByText("deleted").first().waitFor();
});

test("a scope goes back to the plan that was seen and confirmed, is held, and released", async (context) => {
  const { page, namespace } = await openDashboard(context);
  for (const n of [1, 2, 3]) await manager.updateState("planner", "agent", { n }, { namespace });
  await page.goto(`${served.url}#/scopes/planner`);
  await page.getByText("step 3").waitFor();

  await page.getByRole("button", { name: "Roll back" }).click();
  await page.getByLabel("Back to step").fill("9");
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByRole("alert").filter({ hasText: /\w/ }).waitFor(); // there is no step 9: said, and asked again
  await page.getByLabel("Back to step").fill("1");
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByRole("heading", { name: "Back to step 1?" }).waitFor();
  await page.getByText("3 → 1").waitFor();
  const read = () => manager.getState("planner", { namespace, consistency: "strong" });
  expect((await read()).data).toEqual({ n: 3 });
  await page.locator("dialog").getByRole("button", { name: "Roll back" }).click();
  await page.locator("main").getByText("step 4").waitFor();
  expect((await read()).data).toEqual({ n: 1 });

  await page.getByRole("button", { name: "Hold" }).click();
  await page.getByLabel("Reason").fill("look first");
  await page.getByRole("button", { name: "Hold it" }).click();
  await page.getByText("On hold: look first").waitFor();
  expect((await manager.scope("planner", { namespace })).hold).toBe(true);
  await page.getByRole("button", { name: "Release" }).click();
  await page.getByRole("button", { name: "Release it" }).click();
  await page.getByRole("button", { name: "Hold" }).waitFor();
  expect((await manager.scope("planner", { namespace })).hold).toBe(false);
});

test("a parked message is looked at, applied again, and discarded", async (context) => {
  const { page, namespace } = await openDashboard(context, "#/parked");
  await page.getByText("No message is parked.").waitFor();
  const type = "dev.agentruntime.state.update.v1";
  const event = { specversion: "1.0", id: randomUUID(), source: "/t", type, namespace };
  const park = async (data: object): Promise<void> => {
    const body = Buffer.from(JSON.stringify({ ...event, data }));
    const message = { topic: "updates", messageId: randomUUID(), namespace, group: null, body };
    await store.parked.park({ ...message, code: "INVALID_TYPE", detail: "a type has a name" });
  };
  await park({ id: "good", type: "note", data: 1 });
  await park({ id: "bad", type: "", data: 1 });
  await page.getByRole("link", { name: "States" }).click();
  await page.getByRole("link", { name: "Parked" }).click();
  const row = (index: number) => page.locator("tbody tr").nth(index);
  await row(1).waitFor();
  const good = (await manager.parked.list({ namespace })).items.map(({ number }) => number);
  await row(0).getByRole("button", { name: "Look" }).click();
  await page.locator("dialog pre", { hasText: "messageId" }).waitFor();
  await page.keyboard.press("Escape");
  for (const [index, word] of ["Apply again", "Discard"].entries()) {
    expect(good.length - index).toBe(await page.locator("tbody tr").count());
    await row(0).getByRole("button", { name: word }).click();
    const yes = index === 0 ? "Apply it" : "Discard it";
    await page.getByRole("button", { name: yes }).click();
    await page.locator("dialog").waitFor({ state: "detached" });
    if (index === 0) await row(1).waitFor({ state: "detached" });
  }
  await page.getByText("No message is parked.").waitFor();
  expect(await manager.getState("good", { namespace })).toMatchObject({ data: 1 });
});

const MARKUP = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>`;

test("what came as data is text wherever it is shown, and every id leads to its state", async (context) => {
  const { page, namespace, complaints } = await openDashboard(context);
  const id = `<b>a?b#c%2F&"'${MARKUP.replaceAll("/", "")}`;
  const options = { namespace, scope: "scope#?&%", actor: MARKUP, cause: MARKUP };
  await manager.updateState(id, "agent", { [MARKUP]: MARKUP }, options);
  await manager.mergeState(id, { more: MARKUP }, options);
  await manager.tasks.push("scope#?&%", { namespace, kind: "k", input: MARKUP });
  await manager.hold("scope#?&%", { namespace, reason: MARKUP });
  await page.locator(".card .now").waitFor();
  await page.getByRole("link", { name: "scope#?&%" }).click();
  await page.locator(".stack summary").click();
  await page.locator(".stack pre", { hasText: "onerror" }).first().waitFor();
  const views = ["#/states", `#/stacks/${encodeURIComponent("scope#?&%")}`];
  for (const hash of [...views, `#/scopes/${encodeURIComponent("scope#?&%")}`]) {
    await page.goto(served.url + hash);
    await page.locator("main h1").waitFor();
  }
  await page.goto(`${served.url}#/states`);
  await page.locator(`td a[title="${id.replaceAll('"', '\\"')}"]`).click();
  await page.locator("pre", { hasText: "onerror" }).first().waitFor();
  expect(await page.locator("main h1").textContent()).toBe(id);
  expect(await page.locator("main img, main script, main b").count()).toBe(0);
  expect(await page.evaluate("window.pwned")).toBeUndefined();
  expect(complaints).toEqual([]);
});

test("with tokens it asks for one, keeps it in the tab alone, and says what is wrong with one", async (context) => {
  const token = "reader-of-one-is-long-enough";
  const tokens = [{ name: "ann", token, namespace: "one", role: "reader" }] as const;
  const closed = await serve(manager, { info, auth: { tokens } });
  const { page, requests } = await browser.open(context);
  try {
    await manager.updateState("mine", "agent", 1, { namespace: "one" });
    await page.goto(closed.url);
    await page.getByRole("heading", { name: "Who asks?" }).waitFor();
    const answer = async (text: string) => {
      await page.locator("dialog input").fill(text);
      await page.getByRole("button", { name: "Use this token" }).click();
    };
    await answer("wrong");
    await page.locator("dialog", { hasText: "not known" }).waitFor();
    await answer(token);
    await page.locator('[data-stack="mine"]').waitFor();
    await page.locator(".live", { hasText: /^live$/ }).waitFor();
    const kept = await page.evaluate(
      "JSON.stringify([Object.values(sessionStorage), Object.values(localStorage), document.cookie])",
    );
    expect(JSON.parse(String(kept))).toEqual([[token], [], ""]);
    expect(requests.join()).not.toContain(token);

    await page.goto(`${closed.url}#/scopes/mine`);
    await page.getByRole("button", { name: "Hold" }).click();
    await page.getByRole("button", { name: "Hold it" }).click();
    await page.getByRole("alert").filter({ hasText: "may only read" }).waitFor();
  } finally {
    await page.close();
    await closed.close();
  }
});

test.for([
  ["a phone, dark", { viewport: { width: 360, height: 740 }, colorScheme: "dark" }],
  ["a large screen, light", { viewport: { width: 1600, height: 900 }, colorScheme: "light" }],
] as const)("every view fits %s", async ([, options], context) => {
  const { page, namespace, complaints } = await openDashboard(context, "#/", options);
  const id = `a-long-id-${"x".repeat(150)}`;
  await manager.updateState(id, "agent", { text: "y".repeat(3_000) }, { namespace });
  const one = encodeURIComponent(id);
  const views = ["", "states", "scopes", "findings", "parked", "parts"];
  for (const view of [...views, `states/${one}`, `stacks/${one}`, `scopes/${one}`]) {
    await page.goto(`${served.url}#/${view}`);
    await page.locator("main h1").waitFor();
    const wide = await page.evaluate(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    );
    expect([view, wide]).toEqual([view, 0]);
  }
  const ground = await page.evaluate("getComputedStyle(document.body).backgroundColor");
  expect(ground).toBe(options.colorScheme === "dark" ? "rgb(13, 16, 23)" : "rgb(246, 247, 249)");
  await page.getByRole("button", { name: "Light or dark" }).click();
  expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).not.toBe(ground);
  expect(complaints).toEqual([]);
});

test("it is used by keyboard alone", async (context) => {
  const { page, namespace } = await openDashboard(context);
  await manager.updateState("planner", "agent", { goal: "ship" }, { namespace });
  await page.locator('[data-stack="planner"]').waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("plan");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "States" }).waitFor();
  const link = page.locator("td a", { hasText: "planner" }).first();
  await link.waitFor();
  // The focus is at the view: the next thing to reach is in it.
  for (let presses = 0; presses < 12; presses++) {
    await page.keyboard.press("Tab");
    if ((await page.locator("td a:focus").count()) === 1) break;
  }
  await page.keyboard.press("Enter");
  await page.locator("pre", { hasText: "ship" }).waitFor();
});
