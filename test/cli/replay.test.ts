import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { planRun } from "../../src/cli/replay/plan-run.ts";
import { readRuns } from "../../src/cli/replay/read-runs.ts";
import { runProgram } from "../../src/cli/program.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import type { JsonObject } from "../../src/state/json.ts";
import { readFile } from "node:fs/promises";
import { until } from "../support/until.ts";
import { FakeTerminal } from "./fake-terminal.ts";
import { useService } from "./service.ts";

const service = useService();
const TAU = join(packageRoot(), "examples", "tau-airline.jsonl");
const SWE = join(packageRoot(), "examples", "swe-agent-marshmallow-1867.traj.json");

let client: HttpStateClient;

beforeAll(() => {
  client = HttpStateClient.open({ url: service.url });
});

afterAll(() => client.close());

async function messagesOf(agent: string): Promise<JsonObject[]> {
  const { data } = await client.getState(`${agent}.conversation`);
  return (data as { readonly messages: JsonObject[] }).messages;
}

test("a recorded run becomes an agent with its tasks and its conversation", async () => {
  const report = await service.output(["replay", SWE, "--speed", "full"]);
  expect(report).toMatch(/^replayed 1 agent, 12 tasks, 24 messages, \d+ steps\nsent /);

  const scope = "swe-agent-marshmallow-1867";
  const { items } = await client.list({ scope });
  expect(items.map(({ id, phase }) => [id, phase])).toEqual([
    [scope, "stopped"],
    [`${scope}.conversation`, null],
    [`${scope}.task`, "completed"],
    ...items.slice(3).map(({ id }) => [id, "completed"]),
  ]);
  expect(items).toHaveLength(14);

  const messages = await messagesOf(scope);
  const [recorded] = readRuns(await readFile(SWE, "utf8"), SWE);
  const said = recorded!.events.map(({ message }) => message);
  expect(messages).toEqual([...recorded!.briefing, recorded!.request, ...said]);

  const task = await client.getState(`${scope}.task`);
  expect(task.data).toMatchObject({ result: { exitStatus: "submitted" } });
  const tool = await client.getState(`${scope}.task.1`);
  expect(tool.data).toMatchObject({ tool: "create", result: expect.any(String) });
});

test("each step of the plan is one step of the agent's scope", async () => {
  const [recorded] = readRuns(await readFile(SWE, "utf8"), SWE);
  const plan = planRun(recorded!, "");
  const { step } = await client.scope(plan.agent);
  expect(step).toBe(BigInt(plan.steps.length));
});

test("what was played in full is refused kindly, and played anew under another prefix", async () => {
  await service.output(["replay", TAU, "--speed", "full"]);
  const before = await client.scope("tau-12-1");
  const again = await service.run(["replay", TAU, "--speed", "full"]);
  expect(again.code).toBe(3);
  expect(again.stderr).toMatch(/replayed before; nothing was changed\nnext: .*--prefix again-\n$/);
  expect(await client.scope("tau-12-1")).toEqual(before);

  const anew = ["replay", TAU, "--speed", "full", "--prefix", "again-", "--json"];
  expect(JSON.parse(await service.output(anew))).toMatchObject({
    agents: 3,
    agentsThereBefore: 0,
    messages: 48,
    example: { agent: expect.stringMatching(/^again-tau-/) },
  });
});

test("a file that holds fewer runs than asked for starts over", async () => {
  const args = ["replay", TAU, "--speed", "full", "--prefix", "r-", "--runs", "5", "--json"];
  expect(JSON.parse(await service.output(args))).toMatchObject({ agents: 5 });
  const { items } = await client.list({ type: "agent", idPrefix: "r-" });
  expect(items).toHaveLength(5);
});

test("ids that something else has are refused, and it is left alone", async () => {
  await client.updateState("taken-tau-12-1", "agent", { mine: true });
  const args = ["replay", TAU, "--speed", "full", "--prefix", "taken-", "--runs", "1"];
  const { code, stderr } = await service.run(args);
  expect(code).toBe(3);
  expect(stderr).toMatch(/taken-tau-12-1 already exists[^]*next: choose other ids: --prefix/);
  const state = await client.getState("taken-tau-12-1", { consistency: "strong" });
  expect(state).toMatchObject({ version: 1n, data: { mine: true } });
});

test("at its recorded speed a run takes its time, and a factor shortens it", async () => {
  const started = performance.now();
  const args = ["replay", TAU, "--runs", "1", "--prefix", "slow-", "--speed", "20x", "--json"];
  await service.output(args);
  const [recorded] = readRuns(await readFile(TAU, "utf8"), TAU);
  const recordedMs = planRun(recorded!, "").steps.reduce((sum, { waitMs }) => sum + waitMs, 0);
  expect(performance.now() - started).toBeGreaterThan(recordedMs / 20);
});

test("on a terminal a bar shows how far it is, and goes away at the end", async () => {
  const args = ["replay", TAU, "--speed", "full", "--prefix", "bar-"];
  const { stdout, stderr } = await service.run(args, { columns: 80 });
  expect(stderr).toMatch(/█*░+ +\d+% {2}\d+ of 110 steps/);
  expect(stderr.endsWith("\r\u001b[K") || stderr.endsWith("steps\n")).toBe(true);
  expect(stdout).not.toContain("\u001b");
});

test("a replay that was interrupted goes on where it stopped", async () => {
  const args = ["state", "replay", TAU, "--runs", "1", "--prefix", "int-", "--url", service.url];
  const terminal = new FakeTerminal({ columns: 80 });
  const replay = runProgram([...args, "--speed", "10x"], terminal);
  await until(async () => (await client.scope("int-tau-12-1")).step > 8n);
  terminal.interrupt();
  expect(await replay).toBe(1);
  expect(terminal.stderr.text).toMatch(
    /interrupted after \d+ steps\nnext: repeat the command to continue/,
  );

  const { step } = await client.scope("int-tau-12-1");
  const rest = await service.output([...args.slice(1, -2), "--speed", "full", "--json"]);
  const { steps } = JSON.parse(rest) as { steps: number };
  const total = await client.scope("int-tau-12-1");
  expect(BigInt(steps) + step).toBe(total.step);
  expect(await messagesOf("int-tau-12-1")).toHaveLength(14);
});

test("a replay goes on after the service was killed and started again, and loses and doubles nothing", async () => {
  const terminal = new FakeTerminal({ columns: 80 });
  const args = ["replay", TAU, "--prefix", "kill-", "--speed", "20x", "--url", service.url];
  const replay = runProgram(["state", ...args], terminal);
  await until(async () => (await client.scope("kill-tau-12-1")).step > 8n);
  await service.child.kill("SIGKILL");
  await until(() => terminal.stderr.text.includes("waiting for it"));
  await service.start();
  expect(await replay).toBe(0);

  for (const recorded of readRuns(await readFile(TAU, "utf8"), TAU)) {
    const plan = planRun(recorded, "kill-");
    expect((await client.scope(plan.agent)).step).toBe(BigInt(plan.steps.length));
    expect(await messagesOf(plan.agent)).toHaveLength(plan.messages);
  }
}, 90_000);
