import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import { HandFollower, openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";
import { run } from "./fake-terminal.ts";
import type { Ended } from "./fake-terminal.ts";

const home = testHomes().find(({ name }) => name === "embedded")!;
const RESTORE = ["state", "restore", "--from", "rollback"];

let cwd: string;
let pair: Pair;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "art-cli-"));
  pair = await openPair(home);
  const hand = await HandFollower.begin(pair);
  for (const id of ["good", "torn"]) {
    for (let n = 1; n <= 3; n++) await pair.manager.updateState(id, "note", { n });
  }
  await hand.drain();
  await pair.copies.releaseLease(hand.epoch);
});

afterAll(async () => {
  await pair.close();
  await rm(cwd, { recursive: true });
});

/** The command, into a new main. */
async function restore(args: readonly string[] = [], columns?: number): Promise<Ended> {
  const bench = await openBench(home);
  try {
    const named = (url: string): string => url.replace("@/", "@localhost/");
    const env = {
      SUPABASE_DB_URL: named(bench.database.adminUrl),
      SUPABASE_ROLLBACK_URL: named(pair.rollback.url),
    };
    const width = columns === undefined ? {} : { columns };
    return await run([...RESTORE, ...args], { cwd, env, ...width });
  } finally {
    await bench.close();
  }
}

test("it says what is there, and up to which moment all was copied", async () => {
  const { code, stdout, stderr } = await restore();
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("restored 2 scopes: 2 states, 4 changes, 0 tasks\n");
  expect(stdout).toContain("nothing is lost that the rollback database knows of\n");
  expect(stdout).toMatch(/everything acknowledged by \d{4}-.*Z was copied; later steps/);
});

test("on a terminal it shows how far it is", async () => {
  const { code, stderr } = await restore([], 100);
  expect(code).toBe(0);
  expect(stderr).toContain("restored: 2 scopes of 2 scopes");
});

test("what is lost is a table, and exit code 6; for programs it is JSON", async () => {
  await pair.rollback.sql(
    `update agent_state.changes set body = '{}' where version = 3
        and state_no = (select state_no from agent_state.states where id = 'torn')`,
  );
  const { code, stdout, stderr } = await restore();
  expect(code).toBe(6);
  expect(stdout).toMatch(/NAMESPACE +SCOPE +AT STEP +LOST STEPS +HOLD +WHY\n/);
  expect(stdout).toMatch(
    /default +torn +2 +3 +yes +step 3 of its copy: its digest does not prove it \(torn version 3\)\n/,
  );
  expect(stderr).toContain("next: review what is lost");
  const json = await restore(["--json"]);
  expect(json.code).toBe(6);
  expect(JSON.parse(json.stdout)).toMatchObject({
    scopes: 2,
    losses: [{ scope: "torn", restoredStep: "2", lostFrom: "3", lostTo: "3", version: "3" }],
  });
});

test("what was typed wrong is told, and without databases nothing is tried", async () => {
  expect(await run(["state", "restore"], { cwd })).toMatchObject({ code: 2 });
  const promoted = ["state", "restore", "--from-backup", "x", "--promoted"];
  expect(await run(promoted, { cwd })).toMatchObject({ code: 2 });
  expect(await run(["state", "restore", "--from", "main"], { cwd })).toMatchObject({ code: 2 });
  const env = { SUPABASE_DB_URL: "postgres://nobody@127.0.0.1:1/x" };
  const { code, stderr } = await run(RESTORE, { cwd, env });
  expect(code).toBe(2);
  expect(stderr).toContain("name it in `supabase.rollback`");
});
