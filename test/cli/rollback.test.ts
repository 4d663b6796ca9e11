import { expect, test } from "vitest";
import { useService } from "./service.ts";

const service = useService();

let count = 0;

/** A scope with one state that was written so often. */
async function scopeAt(steps: number): Promise<string> {
  const scope = `agent-${++count}`;
  for (let n = 1; n <= steps; n++) {
    await service.output(["set", scope, "--type", "note", "--data", `{"n":${n}}`]);
  }
  return scope;
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await service.output([...args, "--json"])) as Record<string, unknown>;
}

async function post(path: string, body: object): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(service.url + path, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(200);
}

test("--plan shows what would be done, as a table, and does nothing", async () => {
  const scope = await scopeAt(2);
  const { code, stdout } = await service.run(["rollback", scope, "--plan"]);
  expect(code).toBe(0);
  expect(stdout).toContain(`${scope} would go from step 2 back to what it was at step 1`);
  expect(stdout).toContain("quarantined: 2");
  expect(stdout).toMatch(/STATE +TYPE +ACTION +VERSION +BACK TO +AS +PHASE\n/);
  expect(stdout).toMatch(new RegExp(`${scope} +note +restore +2 +1 +3 +-\n`));
  expect(await json("scope", scope)).toMatchObject({ step: "2", quarantined: [] });
});

test("a plan names the tasks that are taken from their workers, and what those did outside", async () => {
  const agent = `agent-${++count}`;
  const task = `${agent}.task`;
  await service.output(["push", agent, "--id", task]);
  const holder = { worker: "w", incarnation: "i" };
  await post("/v1/tasks:claim", { ...holder, stacks: [agent], limit: 1 });
  await post(`/v1/tasks/${task}/effects`, { epoch: "1", key: "mail", receipt: "sent" });
  const plan = await service.output(["rollback", agent, "--plan"]);
  expect(plan).toContain(`taken from their workers: ${task}\n`);
  expect(plan).toMatch(/done outside since, and not undone:\nTASK +EFFECT +DONE\n/);
  expect(plan).toMatch(new RegExp(`\n${task} +mail +20\\S+ \\S+\n`));
  expect(await json("rollback", agent, "--yes")).toMatchObject({
    fenced: [task],
    effects: [{ task, key: "mail" }],
  });
});

test("--yes goes back, and tells why it was in the scope's status", async () => {
  const scope = await scopeAt(3);
  const args = ["rollback", scope, "--reason", "bad import", "--actor", "ann", "--yes"];
  expect(await service.output(args)).toContain(`${scope} went from step 3 back to what it was`);
  expect(await json("get", scope)).toMatchObject({ version: "4", data: { n: 2 } });
  expect(await json("rollback", scope, "--to", "1", "--yes")).toMatchObject({
    step: "5",
    restoredStep: "1",
    quarantined: ["2", "4"],
  });
  const status = await service.output(["scope", scope]);
  expect(status).toContain(`${scope} is at step 5\n`);
  expect(status).toContain("quarantined: 2, 3, 4\n");
  expect(status).toMatch(/ 4 +3 +2 +history +\S+ \S+.* ann +bad import\n/);
});

test("on a terminal it asks; only a yes goes back", async () => {
  const scope = await scopeAt(2);
  for (const input of ["n\n", "\n", ""]) {
    const no = await service.run(["rollback", scope], { columns: 100, input });
    expect(no.code).toBe(1);
    expect(no.stderr).toContain("would go from step 2 back to what it was at step 1");
    expect(no.stderr).toContain("go back? [y/N] ");
    expect(no.stderr).toContain("nothing was changed");
  }
  expect(await json("scope", scope)).toMatchObject({ step: "2" });
  const yes = await service.run(["rollback", scope], { columns: 100, input: "yes\n" });
  expect(yes.code).toBe(0);
  expect(yes.stdout).toContain("went from step 2 back to what it was at step 1");
});

test("where nobody can be asked it shows the plan, and fails without --yes", async () => {
  const scope = await scopeAt(2);
  const { code, stdout, stderr } = await service.run(["rollback", scope], { input: "yes\n" });
  expect([code, stdout]).toEqual([1, expect.stringContaining("would go from step 2")]);
  expect(stderr).toContain("next: review it, then repeat the command with --yes");
  expect(await json("scope", scope)).toMatchObject({ step: "2" });
});

test("a repeat with its key goes back once", async () => {
  const scope = await scopeAt(3);
  const args = ["rollback", scope, "--key", `${scope}-back`, "--yes"];
  await service.output(args);
  expect(await service.output(args)).toContain("as step 4 (done before with this key;");
  expect(await json("scope", scope)).toMatchObject({ step: "4" });
});

test("a refusal has the exit code of what it is, and for programs the plan", async () => {
  const scope = await scopeAt(2);
  const moved = await service.run(["rollback", scope, "--expected-step", "1", "--yes", "--json"]);
  expect(moved.code).toBe(3);
  expect(JSON.parse(moved.stderr)).toMatchObject({
    code: "STEP_CONFLICT",
    plan: { undoneStep: "2", restoredStep: "1" },
  });
  expect(await service.run(["rollback", "nobody", "--yes"])).toMatchObject({ code: 4 });
  expect(await service.run(["rollback", scope, "--to", "9", "--yes"])).toMatchObject({ code: 4 });
  expect(await service.run(["rollback", scope, "--to", "x"])).toMatchObject({ code: 2 });
  await service.output(["rollback", scope, "--yes"]);
  const back = await service.run(["rollback", scope, "--to", "2", "--yes"]);
  expect(back.code).toBe(3);
  expect(back.stderr).toContain("next: see which steps are in quarantine");
  expect(await service.run(["scope", "nobody"])).toMatchObject({ code: 4 });
});

test("a scope on hold takes no writes until it is released", async () => {
  const scope = await scopeAt(1);
  const held = await service.output(["hold", scope, "--reason", "looks wrong"]);
  expect(held).toContain(`${scope} is at step 1, on hold: looks wrong\n`);
  const refused = await service.run(["set", scope, "--merge", "{}"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("next: see why");
  expect(await service.output(["release", scope])).toContain(`${scope} is at step 1\n`);
  await service.output(["set", scope, "--merge", "{}"]);
  expect(await service.run(["hold", "nobody"])).toMatchObject({ code: 4 });
});
