import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readMigrations } from "../../src/supabase/migrations.ts";
import { testHomes } from "../support/homes.ts";
import type { TestDatabase } from "../support/homes.ts";
import { run } from "./fake-terminal.ts";

const STEPS = readMigrations("main").map(({ name }) => name);

let cwd: string;
let database: TestDatabase;
let url: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "art-cli-"));
  const embedded = testHomes().find(({ name }) => name === "embedded")!;
  database = await embedded.createDatabase();
  url = database.url.replace("@/", "@localhost/"); // Else it is no URL to a URL parser.
});

afterAll(async () => {
  await database.drop();
  await rm(cwd, { recursive: true });
});

test("it makes the schema, says what it did, and how a Data API comes to see it", async () => {
  const args = ["state", "migrate", "--database-url", url];
  const { code, stdout, stderr } = await run(args, { cwd });
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: `the schema is up to date (done: ${STEPS.join(", ")})\n`,
  });
  expect(stderr).toContain("add agent_state_api to its exposed schemas");
  expect((await run(args, { cwd })).stdout).toBe("the schema is up to date (nothing to do)\n");
});

test("it takes the database of the configuration, and prints JSON for programs", async () => {
  const env = { SUPABASE_DB_URL: url };
  const { code, stdout } = await run(["state", "migrate", "--json"], { cwd, env });
  expect({ code, answer: JSON.parse(stdout) }).toEqual({ code: 0, answer: { applied: [] } });
});

test("it writes files instead, into a folder that it makes, and each only once", async () => {
  const args = ["state", "migrate", "--dump-sql", "supabase/migrations"];
  const { code, stdout } = await run(args, { cwd });
  const names = await readdir(join(cwd, "supabase/migrations"));
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${names.toSorted().join("\n")}\n` });
  expect(names).toHaveLength(STEPS.length);
  const again = await run([...args, "--json"], { cwd });
  expect(JSON.parse(again.stdout)).toEqual({ written: [], kept: names.toSorted() });
});

test("a database that is not there is unavailable", async () => {
  const args = ["state", "migrate", "--database-url", "postgres://nobody@127.0.0.1:1/x"];
  const { code, stdout } = await run(args, { cwd });
  expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
});

test("a login that is refused is named as such, and not the program", async () => {
  const args = ["state", "migrate", "--database-url", url.replace(/\/\/[^@]*@/, "//nobody@")];
  const { code, stderr } = await run(args, { cwd });
  expect(code).toBe(5);
  expect(stderr).toMatch(/refused the login \(28000: .*Check the user, the password/);
  expect(stderr).not.toMatch(/fault of this program|next:/);
});
