import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { POD_STORIES } from "../support/pod-stories.ts";
import { useService } from "./service.ts";

const service = useService();

async function json(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await service.output([...args, "--json"])) as Record<string, unknown>;
}

async function note(id: string, data: unknown): Promise<void> {
  await service.output(["set", id, "--type", "note", "--data", JSON.stringify(data)]);
}

test("what is set can be got, as it is and as it was", async () => {
  await note("a", { text: "one" });
  expect(await service.output(["set", "a", "--merge", '{"text":"two"}'])).toBe(
    "changed a: version 2, step 2 of scope a\n",
  );
  expect(await service.output(["get", "a"])).toMatch(/version +2\n[^]*"text": "two"/);
  expect(await service.output(["get", "a", "--version", "1"])).toMatch(/version +1\n[^]*"one"/);
  expect(await json("get", "a")).toMatchObject({ id: "a", version: "2", data: { text: "two" } });
});

test("a document comes from a file or from standard input as well", async () => {
  await writeFile(join(service.folder, "doc.json"), '{"from": "a file"}');
  await service.output(["set", "doc", "--type", "note", "--data", "@doc.json"]);
  expect(await json("get", "doc")).toMatchObject({ data: { from: "a file" } });
  await service.output(["set", "doc", "--type", "note", "--data", "-"], { input: '["piped"]' });
  expect(await json("get", "doc")).toMatchObject({ version: "2", data: ["piped"] });
});

test("items are appended in their order", async () => {
  await note("chat", { messages: [] });
  const append = ["--append", '/messages={"n":1}', "--append", "/messages=2"];
  await service.output(["set", "chat", ...append]);
  expect(await json("get", "chat")).toMatchObject({ data: { messages: [{ n: 1 }, 2] } });
});

test("a phase moves along its lifecycle, and no other way", async () => {
  const created = ["set", "t", "--type", "task", "--data", "{}"];
  expect(await service.output(created)).toContain("created t: version 1, phase submitted,");
  expect(await service.output(["set", "t", "--phase", "ready"])).toContain("phase ready");
  const { code, stderr } = await service.run(["set", "t", "--phase", "completed"]);
  expect(code).toBe(1);
  expect(stderr).toContain("completed");
  expect(await json("get", "t")).toMatchObject({ phase: "ready", version: "2" });
});

test("who writes on an old version loses, and is told the current one", async () => {
  await note("race", 1);
  await note("race", 2);
  const { code, stderr } = await service.run(["set", "race", "--merge", "{}", "--if-version", "1"]);
  expect(code).toBe(3);
  expect(stderr).toMatch(/next: it is at version 2 now: .*--if-version 2\n$/);
  const failed = await service.run(["delete", "race", "--if-version", "1", "--json"]);
  expect(failed.code).toBe(3);
  expect(JSON.parse(failed.stderr)).toMatchObject({ current: { version: "2" } });
});

test("--create-only never replaces", async () => {
  const create = ["set", "new", "--type", "note", "--data", "1", "--create-only"];
  expect(await service.output(create)).toContain("created new: version 1");
  expect(await service.run(create)).toMatchObject({ code: 3 });
  expect(await json("get", "new")).toMatchObject({ version: "1" });
});

test("with the same key, a write is done once", async () => {
  const write = ["set", "once", "--type", "note", "--data", "1", "--key", "k-1"];
  await service.output(write);
  expect(await service.output(write)).toContain("nothing changed now");
  expect(await json("get", "once")).toMatchObject({ version: "1" });
  expect(await service.run(["set", "once", "--merge", "{}", "--key", "k-1"])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("next: use a new --key"),
  });
});

test("what was deleted is gone, and its history stays", async () => {
  await note("old", { text: "was here" });
  expect(await service.output(["delete", "old"])).toContain("deleted old: version 2");
  expect(await service.run(["get", "old"])).toMatchObject({ code: 4 });
  expect(await service.output(["get", "old", "--version", "1"])).toContain("was here");
  expect(await service.run(["get", "never"])).toMatchObject({ code: 4 });
});

test("the history is a table, newest first, with who and why", async () => {
  await note("hist", { text: "one" });
  const why = ["--actor", "me", "--cause", "a better word"];
  await service.output(["set", "hist", "--merge", '{"text":"two"}', ...why]);
  const [titles, newest, oldest] = (await service.output(["history", "hist"])).split("\n");
  expect(titles).toMatch(/^VERSION +STEP +KIND +PHASE +AT +ACTOR +CAUSE +STORED +DIGEST$/);
  expect(newest).toMatch(/^ +2 +2 +update +- .* me +a better word +\d+ B delta +[0-9a-f]{12}$/);
  expect(oldest).toMatch(/^ +1 +1 +update .* full /);
  const page = await service.run(["history", "hist", "--limit", "1"]);
  expect(page.stderr).toBe("more results: --before 2\n");
  expect(await service.output(["history", "hist", "--before", "2"])).not.toContain("better");
});

test("a diff says what changed, in colours on a terminal alone", async () => {
  await note("d", { text: "one", list: [1] });
  await note("d", { text: "two", list: [1, 2] });
  const plain = await service.output(["diff", "d"]);
  expect(plain).toMatch(/^d: version 1 to 2\n/);
  expect(plain).toContain('/text: "one" → "two"');
  expect(plain).not.toContain("\u001b");
  const colored = await service.output(["diff", "d"], { columns: 80 });
  expect(colored).toContain("\u001b[33m~ /text");
  expect(colored).toContain("\u001b[32m+ /list/1");
  const bare = await service.output(["diff", "d"], { columns: 80, env: { NO_COLOR: "1" } });
  expect(bare).toBe(plain);
  expect(await json("diff", "d", "--from", "1", "--to", "1")).toMatchObject({ patch: [] });
});

test("a list is cut into pages, and all of them come with --all", async () => {
  for (let n = 1; n <= 5; n++) await note(`list-${n}`, n);
  const first = await service.run(["list", "--prefix", "list-", "--limit", "2"]);
  expect(first.stdout).toMatch(/^ID +TYPE [^]*list-1 [^]*list-2 /);
  expect(first.stdout).not.toContain("list-3");
  const [, cursor] = /--after (\S+),/.exec(first.stderr)!;
  const second = await json("list", "--prefix", "list-", "--limit", "2", "--after", cursor!);
  expect(second).toMatchObject({ items: [{ id: "list-3" }, { id: "list-4" }] });
  const all = await service.output(["list", "--prefix", "list-", "--all", "--json"]);
  const ids = all
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { id: string }).id);
  expect(ids).toEqual(["list-1", "list-2", "list-3", "list-4", "list-5"]);
  expect(await service.run(["list", "--prefix", "nothing-"])).toMatchObject({
    code: 0,
    stdout: "",
    stderr: "no states\n",
  });
});

test("what somebody stored cannot take over a terminal", async () => {
  await note("evil", { text: "plain" });
  await note("evil", { text: "\u001b[2J\u202e\r\n\u009b31m" });
  for (const command of ["get", "diff"]) {
    const output = await service.output([command, "evil"]);
    expect(output.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
  }
});

test("namespaces keep states apart", async () => {
  await service.output(["set", "mine", "--type", "note", "--data", "1", "--namespace", "team-a"]);
  expect(await service.run(["get", "mine"])).toMatchObject({ code: 4 });
  expect(await service.output(["get", "mine", "--namespace", "team-a"])).toContain("mine");
});

test("bench measures, and says where its states are", async () => {
  const report = await json("bench", "--callers", "4", "--seconds", "1", "--keys", "10");
  expect(report).toMatchObject({ callers: 4, failures: 0 });
  expect(report["updates"]).toBeGreaterThan(0);
  expect(report["p99Ms"]).toBeGreaterThanOrEqual(Number(report["p50Ms"]));
  const text = await service.output(["bench", "--callers", "1", "--seconds", "1", "--keys", "1"]);
  expect(text).toMatch(/updates\/s[^]*p50 [^]*--prefix bench-/);
});

test("fsck says which checks ran, and ends with 0 where all is well", async () => {
  await note("sound", { text: "one" });
  const { code, stderr } = await service.run(["fsck", "sound"]);
  expect(code).toBe(0);
  expect(stderr).toMatch(/C5 could not run: there is no replica\n[^]*1 states checked, 14 of 17/);
  expect(await json("fsck", "--checks", "c3,C4")).toMatchObject({
    findings: [],
    checks: [
      { check: "C3", status: "passed" },
      { check: "C4", status: "passed" },
    ],
  });
  expect(await service.run(["fsck", "--checks", "C99"])).toMatchObject({ code: 2 });
  const unknown = await service.run(["fsck", "nobody-wrote-here"]);
  expect(unknown).toMatchObject({ code: 4, stderr: expect.stringContaining("no scope") });
});

test("a pod is shown by its uid, or by its agent, with what was told of it", async () => {
  const { facts } = POD_STORIES["a container that fails"]!;
  const response = await fetch(`${service.url}/v1/lifecycle/facts`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ facts }),
  });
  expect([response.status, await response.json()]).toEqual([202, { accepted: facts.length }]);
  const text = await service.output(["lifecycle", "alice"]);
  expect(text).toContain("agents/agent-7 (3f5c0a6e-uid)");
  expect(text).toMatch(/observed +failed, Error, exit code 2/);
  expect(text).toMatch(/^main +c-1 +2026-11-26T10:00:01.200Z +2026-11-26T10:00:09.000Z +2$/m);
  expect(await service.output(["lifecycle", "3f5c0a6e-uid"])).toBe(text);
  const json = JSON.parse(await service.output(["lifecycle", "alice", "--json"])) as object;
  expect(json).toMatchObject({ id: "pod:3f5c0a6e-uid", phase: "failed" });
  expect(await service.run(["lifecycle", "nobody"])).toMatchObject({ code: 4 });
});

test("a Sandbox object is shown by its uid, beside the pod of its agent, and where that has none", async () => {
  const told = (labels: object, podUid: string): object[] =>
    [
      { source: "sandbox", podUid, podName: "box", fact: "create" },
      { source: "sandbox", podUid, podName: "box", fact: "ready", incarnation: "7" },
    ].map((fact) => ({
      ...fact,
      namespace: "agents",
      at: "2026-11-26T10:00:00Z",
      desired: "paused",
      labels,
    }));
  await fetch(`${service.url}/v1/lifecycle/facts`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      facts: [
        ...told({ "agentruntime.dev/agent": "alice" }, "box-1"),
        ...told({ "agentruntime.dev/agent": "bob" }, "box-2"),
      ],
    }),
  });
  const alice = await service.output(["lifecycle", "alice"]);
  expect(alice).toContain("agents/agent-7 (3f5c0a6e-uid)");
  expect(alice).toMatch(/^sandbox +agents\/box \(running, is to be paused\)$/m);
  const bob = await service.output(["lifecycle", "bob"]);
  expect(bob).toMatch(/^sandbox +agents\/box \(box-2\)\npod +box$/m);
  expect(bob).toMatch(/desired +paused\nobserved +running\nready +yes$/m);
  expect(await service.output(["lifecycle", "box-2"])).toBe(bob);
});
