import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLog } from "../service/log.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseFact } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { Spool } from "./spool.ts";
import type { SpoolOptions } from "./spool.ts";
import { SpooledSink } from "./spooled-sink.ts";

let folder: string;
const opened: Spool[] = [];

beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), "spool-")), "facts");
});

afterEach(async () => {
  for (const spool of opened.splice(0)) await spool.close();
  await rm(path.dirname(folder), { recursive: true, force: true });
});

async function openSpool(options: Partial<SpoolOptions> = {}): Promise<Spool> {
  const spool = await Spool.open({ folder, log: silentLog, ...options });
  opened.push(spool);
  return spool;
}

async function takeAll(spool: Spool, limit = 3): Promise<string[]> {
  const taken: string[] = [];
  for (;;) {
    const records = await spool.oldest(limit);
    if (records.length === 0) return taken;
    taken.push(...records);
    await spool.remove(records.length);
  }
}

const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `{"number":${index},"ü":"ä"}`);

test("records come out in their order, over files and openings, and leave no file", async () => {
  const records = numbered(50);
  const spool = await openSpool({ segmentBytes: 200 });
  await Promise.all(records.slice(0, 20).map((record) => spool.append([record])));
  for (const record of records.slice(20, 40)) await spool.append([record]);
  expect(spool.figures).toMatchObject({ records: 40, damaged: 0 });
  expect((await readdir(folder)).length).toBeGreaterThan(3);
  await spool.close();

  const again = await openSpool({ segmentBytes: 200 });
  await again.append(records.slice(40));
  expect(await takeAll(again)).toEqual(records);
  expect(again.figures).toEqual({ records: 0, bytes: 0, damaged: 0 });
  expect(await readdir(folder)).toEqual([]);
  await again.append(["{}"]);
  expect(await takeAll(again)).toEqual(["{}"]);
});

test("what somebody removed is given up, and what comes after that is kept", async () => {
  const spool = await openSpool();
  await spool.append(numbered(3));
  await rm(path.join(folder, (await readdir(folder))[0]!));
  expect(await spool.oldest(9)).toEqual([]);
  await spool.append(["{}"]);
  expect(await takeAll(spool)).toEqual(["{}"]);
  await rm(folder, { recursive: true });
  await spool.append(["[]"]);
  expect(await takeAll(spool)).toEqual(["[]"]);
  expect(spool.figures).toMatchObject({ records: 0, damaged: 3 });
  await spool.close();
});

test("what is torn or rotten is left out and counted; the rest comes", async () => {
  const spool = await openSpool();
  await spool.append(numbered(3));
  await spool.close();
  const file = path.join(folder, (await readdir(folder))[0]!);
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace('"number":1', '"number":7'));
  await appendFile(file, '12345678 {"torn":tr');

  const again = await openSpool();
  expect(again.figures).toMatchObject({ records: 2, damaged: 2 });
  await again.append(["{}"]);
  expect(await takeAll(again)).toEqual([numbered(3)[0], numbered(3)[2], "{}"]);
});

test("a file that rots away while it is open is given up, and not waited for", async () => {
  const spool = await openSpool({ segmentBytes: 1 });
  await spool.append(["{}"]);
  await spool.append(['{"second":true}']);
  await writeFile(path.join(folder, (await readdir(folder)).toSorted()[0]!), "");
  expect(await takeAll(spool)).toEqual(['{"second":true}']);
  expect(spool.figures).toMatchObject({ records: 0, damaged: 1 });
});

test("a full one refuses, and takes again what there is room for", async () => {
  const spool = await openSpool({ maxRecords: 3 });
  await spool.append(numbered(2));
  await expect(spool.append(numbered(2))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await spool.append(["{}"]);
  await spool.remove((await spool.oldest(2)).length);
  await spool.append(numbered(2));
  expect(spool.figures.records).toBe(3);

  const small = await openSpool({ folder: path.join(folder, "small"), maxBytes: 100 });
  await small.append(["x".repeat(80)]);
  await expect(small.append(["x".repeat(80)])).rejects.toThrow(/is full \(1 records, 90 bytes\)/);
});

test("a folder that cannot be made, a line break and a closed one are refused", async () => {
  await writeFile(path.join(path.dirname(folder), "file"), "");
  await expect(openSpool({ folder: path.join(folder, "../file/x") })).rejects.toThrow(
    /cannot be used/,
  );
  const spool = await openSpool();
  await expect(spool.append(["a\nb"])).rejects.toMatchObject({ code: "INVALID_DATA" });
  await spool.close();
  await expect(spool.append(["{}"])).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

const fact = (name: string): LifecycleFact =>
  parseFact({
    source: "hook",
    podUid: name,
    podName: name,
    namespace: "agents",
    fact: "preStop",
    at: "2026-11-26T10:00:00Z",
  });

test("facts are handed on in their order, again after a failure, each refused one by itself", async () => {
  const told: string[] = [];
  let failures = 2;
  const sink = new SpooledSink({
    spool: await openSpool(),
    to: {
      publish: async (facts) => {
        if (failures-- > 0) throw new AgentRuntimeError("UNAVAILABLE", "away");
        const bad = facts.some(({ podUid }) => podUid === "bad");
        if (bad) throw new AgentRuntimeError("INVALID_REQUEST", "never");
        told.push(...facts.map(({ podUid }) => podUid));
      },
    },
    log: silentLog,
  });
  await sink.publish([fact("a"), fact("bad"), fact("b")]);
  await sink.publish([fact("c")]);
  await sink.close({ drainMs: 60_000 });
  expect(told).toEqual(["a", "b", "c"]);
  expect(sink.figures).toMatchObject({ waiting: 0, handedOn: 3, refused: 1 });
});

test("what could not be handed on before the end comes from the disk the next time", async () => {
  const away = { publish: () => Promise.reject(new AgentRuntimeError("UNAVAILABLE", "away")) };
  const sink = new SpooledSink({ spool: await openSpool(), to: away, log: silentLog });
  await sink.publish([fact("a")]);
  await sink.close();

  const told: string[] = [];
  const publish = async (facts: readonly LifecycleFact[]): Promise<void> => {
    told.push(...facts.map(({ podUid }) => podUid));
  };
  const next = new SpooledSink({ spool: await openSpool(), to: { publish }, log: silentLog });
  await next.close({ drainMs: 60_000 });
  expect(told).toEqual(["a"]);
});

test("what is appended while older ones are handed on comes after them", async () => {
  const spool = await openSpool();
  await spool.append(['{"n":1}', '{"n":2}']);
  expect(await spool.oldest(1)).toEqual(['{"n":1}']);
  await spool.append(['{"n":3}']);
  await spool.remove(1);
  expect(await takeAll(spool)).toEqual(['{"n":2}', '{"n":3}']);
  expect(spool.figures).toEqual({ records: 0, bytes: 0, damaged: 0 });
});
