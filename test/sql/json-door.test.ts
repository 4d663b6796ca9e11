import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { auditDatabase } from "../model/audit.ts";

interface Answer {
  readonly scope: string;
  readonly step: string;
  readonly replayed: boolean;
  readonly changes: readonly {
    readonly id: string;
    readonly version: string;
    readonly [field: string]: unknown;
  }[];
}

describeOnHomes("the JSON door", (home) => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await openBench(home);
  });

  afterAll(() => bench.close());

  async function commit(changeset: unknown): Promise<Answer> {
    const [row] = await bench.sql<{ answer: Answer }>(
      "select agent_state_api.commit($1) as answer",
      [JSON.stringify(changeset)],
    );
    return row!.answer;
  }

  async function get(query: unknown): Promise<Record<string, unknown> | null> {
    const [row] = await bench.sql<{ answer: Record<string, unknown> | null }>(
      "select agent_state_api.get($1) as answer",
      [JSON.stringify(query)],
    );
    return row!.answer;
  }

  const one = (change: object, rest: object = {}): object => ({ changes: [change], ...rest });

  test("commits a changeset and answers with 64-bit numbers as text", async () => {
    const answer = await commit({
      namespace: "n1",
      scope: "team",
      actor: "ann",
      cause: "start",
      expectedStep: "0",
      changes: [
        { id: "t", type: "task", data: { a: 1 }, phase: "submitted" },
        {
          op: "update",
          id: "n",
          type: "note",
          data: null,
          expectedVersion: "0",
          expiresAt: "2100-01-01T00:00:00Z",
        },
      ],
    });
    const digest = expect.stringMatching(/^[0-9a-f]{64}$/) as string;
    expect(answer).toEqual({
      scope: "team",
      step: "1",
      replayed: false,
      changes: [
        { id: "t", type: "task", version: "1", phase: "submitted", digest },
        { id: "n", type: "note", version: "1", phase: null, digest },
      ],
    });
    expect(await get({ namespace: "n1", id: "t" })).toMatchObject({
      version: "1",
      step: "1",
      scope: "team",
      phase: "submitted",
      data: { a: 1 },
      deleted: false,
    });
    expect(await get({ namespace: "n1", id: "nobody" })).toBeNull();
  });

  test("merges, patches, appends and deletes; every version stays readable", async () => {
    await commit(one({ id: "doc", type: "note", data: { l: [], x: 1 } }));
    await commit(one({ op: "append", id: "doc", path: "/l", items: [1, { b: 2 }] }));
    await commit(one({ op: "merge", id: "doc", patch: { x: null, y: "é" } }));
    await commit(
      one({ op: "patch", id: "doc", patch: [{ op: "replace", path: "/l/0", value: 9 }] }),
    );
    const gone = await commit(one({ op: "delete", id: "doc" }));
    expect(gone.changes[0]?.version).toBe("5");
    const versions = await Promise.all(
      [1, 2, 3, 4, 5].map((version) => get({ id: "doc", version })),
    );
    expect(versions.map((state) => state?.["data"])).toEqual([
      { l: [], x: 1 },
      { l: [1, { b: 2 }], x: 1 },
      { l: [1, { b: 2 }], y: "é" },
      { l: [9, { b: 2 }], y: "é" },
      null,
    ]);
    expect(versions[4]).toMatchObject({ deleted: true });
    expect(await get({ id: "doc", version: 6 })).toBeNull();
  });

  test("takes its argument encoded twice, as some clients send it", async () => {
    const answer = await commit(JSON.stringify(one({ id: "twice", type: "note", data: 1 })));
    expect(answer.changes).toMatchObject([{ id: "twice", version: "1" }]);
  });

  test("answers a repeated idempotency key with the first result", async () => {
    const changeset = one({ id: "key", type: "note", data: 1 }, { idempotencyKey: "k" });
    const first = await commit(changeset);
    await commit(one({ id: "key", type: "note", data: 2 }));
    expect(await commit(changeset)).toEqual({ ...first, replayed: true });
    await expect(
      commit(one({ id: "key", type: "note", data: 3 }, { idempotencyKey: "k" })),
    ).rejects.toMatchObject({ code: "PT422", message: "IDEMPOTENCY_KEY_REUSED" });
  });

  test("refuses with the status that the Data API answers with, and changes nothing", async () => {
    await commit(one({ id: "here", type: "note", data: { l: 1 } }, { scope: "s" }));
    await commit(one({ id: "grave", type: "note", data: 1 }));
    await commit(one({ op: "delete", id: "grave" }));
    await commit(one({ id: "held", type: "note", data: 1 }));
    await bench.sql(
      "insert into agent_state.holds (scope_no) select scope_no from agent_state.states where id = 'held'",
    );
    const before = await bench.sql("select count(*) from agent_state.changes");
    const refusals: [string, string, unknown][] = [
      ["PT404", "STATE_NOT_FOUND", one({ op: "delete", id: "nowhere" })],
      ["PT410", "GONE", one({ op: "merge", id: "grave", patch: {} })],
      [
        "PT409",
        "VERSION_CONFLICT",
        one({ id: "here", type: "note", data: 1, expectedVersion: "7" }),
      ],
      ["PT409", "ALREADY_EXISTS", one({ id: "here", type: "note", data: 1, expectedVersion: "0" })],
      ["PT409", "STEP_CONFLICT", one({ id: "here", type: "note", data: 1 }, { expectedStep: "7" })],
      ["PT422", "ILLEGAL_TRANSITION", one({ id: "t2", type: "task", data: 1, phase: "working" })],
      ["PT400", "INVALID_PHASE", one({ id: "t2", type: "note", data: 1, phase: "working" })],
      ["PT400", "INVALID_TYPE", one({ id: "here", type: "other", data: 1 })],
      ["PT400", "INVALID_SCOPE", one({ id: "here", type: "note", data: 1 }, { scope: "t" })],
      ["PT400", "INVALID_PATCH", one({ op: "append", id: "here", path: "/l", items: [1] })],
      ["PT423", "SCOPE_ON_HOLD", one({ id: "held", type: "note", data: 1 })],
      ["PT413", "PAYLOAD_TOO_LARGE", one({ id: "big", type: "note", data: "x".repeat(1_048_577) })],
      [
        "PT400",
        "INVALID_SCOPE",
        {
          changes: [
            { id: "new", type: "note", data: 1 },
            { id: "here", type: "note", data: 1 },
          ],
        },
      ],
      [
        "PT409",
        "VERSION_CONFLICT",
        {
          scope: "s",
          changes: [
            { id: "fine", type: "note", data: 1 },
            { id: "here", type: "note", data: 1, expectedVersion: 9 },
          ],
        },
      ],
    ];
    for (const [code, message, changeset] of refusals) {
      await expect(commit(changeset), message).rejects.toMatchObject({ code, message });
    }
    expect(await bench.sql("select count(*) from agent_state.changes")).toEqual(before);
    expect(await bench.sql("select from agent_state.states where version = 0")).toEqual([]);
    await auditDatabase(bench, "default");
    const two = [
      { op: "delete", id: "here" },
      { op: "delete", id: "held" },
    ];
    const refusal = (await commit({ changes: two }).catch(
      (error: unknown) => error,
    )) as pg.DatabaseError;
    expect((JSON.parse(refusal.detail!) as { detail: string }).detail).toBe(
      '"held" is in scope "held" and "here" is in scope "s"',
    );
  });

  const manyRemovals = Array.from({ length: 1_001 }, () => ({ op: "remove", path: "/a" }));
  const noChangesets: readonly [string, unknown][] = [
    ["INVALID_REQUEST", null],
    ["INVALID_REQUEST", []],
    ["INVALID_REQUEST", {}],
    ["INVALID_REQUEST", { changes: [] }],
    [
      "INVALID_REQUEST",
      { changes: Array.from({ length: 1_001 }, () => ({ op: "delete", id: "a" })) },
    ],
    ["INVALID_REQUEST", { changes: ["delete"] }],
    ["INVALID_REQUEST", one({ op: "destroy", id: "a" })],
    ["INVALID_REQUEST", one({ id: "a", type: "note" })],
    ["INVALID_REQUEST", one({ op: "merge", id: "a" })],
    [
      "INVALID_REQUEST",
      {
        changes: [
          { id: "a", type: "note", data: 1 },
          { op: "delete", id: "a" },
        ],
      },
    ],
    ["UNKNOWN_FIELD", one({ id: "a", type: "note", data: 1, version: 1 })],
    ["UNKNOWN_FIELD", one({ id: "a", type: "note", data: 1 }, { key: "k" })],
    ["INVALID_NAMESPACE", one({ id: "a", type: "note", data: 1 }, { namespace: "a b" })],
    ["INVALID_SCOPE", one({ id: "a", type: "note", data: 1 }, { scope: "a/b" })],
    ["INVALID_STEP", one({ id: "a", type: "note", data: 1 }, { expectedStep: "-1" })],
    ["INVALID_ID", one({ type: "note", data: 1 })],
    ["INVALID_ID", one({ id: "", type: "note", data: 1 })],
    ["INVALID_ID", one({ id: "a/b", type: "note", data: 1 })],
    ["INVALID_ID", one({ id: "a\u0001", type: "note", data: 1 })],
    ["INVALID_ID", one({ id: "x".repeat(201), type: "note", data: 1 })],
    ["INVALID_ID", one({ id: "..", type: "note", data: 1 })],
    ["INVALID_TYPE", one({ id: "a", data: 1 })],
    ["INVALID_TYPE", one({ id: "a", type: "", data: 1 })],
    ["INVALID_VERSION", one({ id: "a", type: "note", data: 1, expectedVersion: "one" })],
    ["INVALID_VERSION", one({ id: "a", type: "note", data: 1, expectedVersion: 1.5 })],
    ["INVALID_PATCH", one({ op: "patch", id: "a", patch: {} })],
    ["INVALID_PATCH", one({ op: "patch", id: "a", patch: [{ op: "grow", path: "/a" }] })],
    ["INVALID_PATCH", one({ op: "patch", id: "a", patch: [{ op: "add", path: "/a" }] })],
    ["INVALID_PATCH", one({ op: "patch", id: "a", patch: [{ op: "move", path: "/a" }] })],
    ["INVALID_PATCH", one({ op: "patch", id: "a", patch: [{ op: "remove", path: "a" }] })],
    ["INVALID_PATCH", one({ op: "patch", id: "a", patch: manyRemovals })],
    ["INVALID_PATCH", one({ op: "append", id: "a", items: [1] })],
    ["INVALID_PATCH", one({ op: "append", id: "a", path: "/a", items: 1 })],
    ["INVALID_DATA", one({ id: "a", type: "note", data: nested(65) })],
    ["INVALID_DATA", one({ op: "merge", id: "a", patch: { a: nested(64) } })],
    ["INVALID_DATA", one({ op: "append", id: "a", path: "/a/b", items: nested(63) })],
    [
      "INVALID_DATA",
      one({ op: "patch", id: "a", patch: [{ op: "add", path: "/a/b", value: nested(63) }] }),
    ],
  ];

  test("refuses what no changeset is, with the code that says why", async () => {
    for (const [message, changeset] of noChangesets) {
      const what = JSON.stringify(changeset).slice(0, 100);
      await expect(commit(changeset), what).rejects.toMatchObject({ code: "PT400", message });
    }
    expect(await bench.sql("select from agent_state.states where id = 'a'")).toEqual([]);
  });

  test("takes documents of 64 levels, however they come to be so deep", async () => {
    const { changes } = await commit(one({ id: "deep", type: "note", data: nested(64) }));
    expect(changes[0]!.version).toBe("1");
    await commit(one({ id: "deep", type: "note", data: { a: { b: [] } } }));
    await commit(one({ op: "append", id: "deep", path: "/a/b", items: nested(62) }));
    await commit(
      one({ op: "patch", id: "deep", patch: [{ op: "add", path: "/a/b/0", value: nested(61) }] }),
    );
    const last = await commit(one({ op: "merge", id: "deep", patch: { a: { c: nested(62) } } }));
    expect(last.changes[0]!.version).toBe("5");
  });

  test("gives each of many at once its own step and a true answer, however often they race", async () => {
    const clients = await Promise.all(Array.from({ length: 16 }, () => bench.connect()));
    const answers = (
      await Promise.all(clients.map((client, worker) => race(client, worker)))
    ).flat();
    const steps = answers.map(({ step }) => Number(step)).toSorted((a, b) => a - b);
    expect(steps).toEqual(steps.map((_, index) => index + 1));
    for (const { worker, turn, answer } of answers) {
      expect(answer.changes.map(({ id }) => id)).toEqual([`w${worker}`, `t${turn}-${worker}`]);
    }
    await auditDatabase(bench, "race");
  });
});

async function race(
  client: pg.Client,
  worker: number,
): Promise<{ worker: number; turn: number; step: string; answer: Answer }[]> {
  const answers = [];
  for (let turn = 0; turn < 10; turn++) {
    const changes = [`w${worker}`, `t${turn}-${worker}`].map((id) => ({
      id,
      type: "note",
      data: turn,
    }));
    const { rows } = await client.query<{ answer: Answer }>(
      "select agent_state_api.commit($1) as answer",
      [JSON.stringify({ namespace: "race", scope: "one", changes })],
    );
    const { answer } = rows[0]!;
    answers.push({ worker, turn, step: answer.step, answer });
  }
  return answers;
}

/** Arrays in arrays, so many levels of them. */
function nested(levels: number): unknown[] {
  return levels <= 1 ? [] : [nested(levels - 1)];
}
