import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, expect, test } from "vitest";
import { LIFECYCLES } from "../../src/state/lifecycle.ts";
import { phasePath } from "../../src/state/phase-path.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { run } from "./fake-terminal.ts";
import type { Changeset } from "../../src/state/request.ts";
import { useService } from "./service.ts";

const service = useService();

/** With the three lifecycles and the mortal one, what an export holds. */
const NOTES = 520;
const ALL = NOTES + Object.values(LIFECYCLES).flatMap(({ phases }) => phases).length + 1;

interface Line {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** What an export is made of: states of every kind and every phase. */
beforeAll(async () => {
  const client = HttpStateClient.open({ url: service.url, namespace: "from" });
  for (const [type, { phases }] of Object.entries(LIFECYCLES)) {
    for (const to of phases) {
      const [first, ...rest] = phasePath(type, { from: null, to })!;
      const id = `${type}-${to}`;
      await client.updateState(id, type, { at: to }, { scope: "all", phase: first! });
      for (const phase of rest) await client.mergeState(id, {}, { phase });
    }
  }
  // More than a page of the export and than a batch of the import.
  const notes = Array.from({ length: NOTES }, (_, n): Changeset => {
    const data = { n, text: "été 🚀" };
    return { changes: [{ op: "update", id: `n-${n}`, type: "note", data }] };
  });
  const outcomes = await client.commitBatch(notes);
  expect(outcomes.every(({ ok }) => ok)).toBe(true);
  await client.updateState("gone", "note", 1);
  await client.deleteState("gone");
  const expiresAt = new Date("2100-01-01T00:00:00Z");
  await client.updateState("mortal", "note", null, { expiresAt });
  await client.close();
}, 120_000);

/** What an import must bring over. */
function statesOf(text: string): Map<string, unknown> {
  const [, ...lines] = text.trimEnd().split("\n");
  return new Map(
    lines.map((line) => {
      const { id, type, scope, phase, expiresAt, data } = JSON.parse(line) as Line;
      return [id, { type, scope, phase, expiresAt, data }];
    }),
  );
}

test("what is exported can be imported elsewhere, every phase of every lifecycle included", async () => {
  const { code, stderr } = await service.run([
    "export",
    "--file",
    "all.jsonl",
    "--namespace",
    "from",
  ]);
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: `exported ${ALL} states\n` });
  const text = await readFile(join(service.folder, "all.jsonl"), "utf8");
  expect(text).toMatch(/^\{"format":"agent-runtime-state","formatVersion":1\}\n/);

  const imported = await service.output(["import", "all.jsonl", "--namespace", "to"]);
  expect(imported).toBe(`imported ${ALL} states\n`);
  const copy = await service.output(["export", "--namespace", "to"]);
  expect(statesOf(copy)).toEqual(statesOf(text));
  expect(statesOf(copy).has("gone")).toBe(false);
});

test("the same file again does nothing twice", async () => {
  const before = await service.output(["export", "--namespace", "to"]);
  const again = await service.output(["import", "all.jsonl", "--namespace", "to"]);
  expect(again).toBe(`imported 0 states, ${ALL} were there before\n`);
  expect(await service.output(["export", "--namespace", "to"])).toBe(before);
});

test("under another name, a file is imported over what changed since", async () => {
  const line = '{"id":"re","type":"note","data":"as it was"}\n';
  const args = ["import", "-", "--namespace", "again"];
  await service.output(args, { input: line });
  await service.output(["set", "re", "--merge", '{"x":1}', "--namespace", "again"]);
  expect(await service.output(args, { input: line })).toContain("1 were there before");
  expect(await service.output([...args, "--again", "2"], { input: line })).toContain("imported 1");
  const state = await service.output(["get", "re", "--json", "--namespace", "again"]);
  expect(JSON.parse(state)).toMatchObject({ version: "3", data: "as it was" });
});

test("a packed file is imported, and a filter exports what it says", async () => {
  const part = await service.output(["export", "--namespace", "from", "--type", "task"]);
  await writeFile(join(service.folder, "tasks.jsonl.gz"), gzipSync(part));
  const imported = await service.output(["import", "tasks.jsonl.gz", "--namespace", "packed"]);
  expect(imported).toBe(`imported ${LIFECYCLES.task.phases.length} states\n`);
});

test("a line that is refused is told with its number, and the others go on", async () => {
  const lines = [
    '{"id":"good-1","type":"note","data":1}',
    "nonsense",
    "",
    '{"id":"bad/id","type":"note","data":1}',
    '{"id":"good-2","type":"note","data":1,"phas":"x"}',
    '{"id":"t","type":"task","data":1,"phase":"sleeping"}',
    '{"id":"big","type":"note","data":90071992547409930}',
    '{"id":"good-3","type":"note","data":1}',
  ];
  const args = ["import", "-", "--namespace", "mixed"];
  const { code, stdout, stderr } = await service.run(args, { input: lines.join("\n") });
  expect(code).toBe(1);
  expect(stdout).toBe("imported 2 states, 5 refused\n");
  expect(stderr).toMatch(/^line 2: the line is not JSON$/m);
  expect(stderr).toMatch(/^line 4 \(bad\/id\): /m);
  expect(stderr).toMatch(/^line 5: .*"phas"; did you mean "phase"\?$/m);
  expect(stderr).toMatch(/^line 6 \(t\): .*sleeping/m);
  expect(stderr).toMatch(/^line 7 \(big\): /m);
  expect(stderr).toMatch(/next: correct them/);

  const again = await service.run([...args, "--json"], { input: lines.join("\n") });
  expect(JSON.parse(again.stdout)).toMatchObject({
    imported: 0,
    importedBefore: 2,
    refused: 5,
    refusals: expect.arrayContaining([expect.objectContaining({ line: 4, code: "INVALID_ID" })]),
  });
});

test("a state that has moved where no way leads back is left as it is", async () => {
  const args = ["import", "-", "--namespace", "moved"];
  const line = (phase: string): string =>
    `{"id":"t","type":"task","data":"${phase}","phase":"${phase}"}`;
  expect((await service.run(args, { input: line("completed") })).code).toBe(0);
  expect((await service.run(args, { input: line("working") })).code).toBe(1);
  const state = await service.output(["get", "t", "--json", "--namespace", "moved"]);
  expect(JSON.parse(state)).toMatchObject({ phase: "completed", data: "completed", version: "3" });
});

test.each([
  ['{"format":"agent-runtime-state","formatVersion":9}', "another version of the export format"],
  ['{"format":"other"}', "not an export of this program"],
])("a file with the header %s is refused, and nothing of it imported", async (header, says) => {
  const input = `${header}\n{"id":"never","type":"note","data":1}\n`;
  const { code, stderr } = await service.run(["import", "-"], { input });
  expect(code).toBe(1);
  expect(stderr).toContain(says);
  expect(await service.run(["get", "never"])).toMatchObject({ code: 4 });
});

test("an export that fails leaves nothing that looks like one", async () => {
  const unwritable = await service.run(["export", "--file", "no/such/folder/x.jsonl"]);
  expect(unwritable.code).toBe(1);
  expect(unwritable.stderr).toContain("cannot be written");
  const args = ["state", "export", "--file", "x.jsonl", "--url", "http://127.0.0.1:9"];
  expect(await run(args, { cwd: service.folder })).toMatchObject({ code: 5 });
  expect(await readdir(service.folder)).not.toContain("x.jsonl");
  expect(await readdir(service.folder)).not.toContain("x.jsonl.part");
});
