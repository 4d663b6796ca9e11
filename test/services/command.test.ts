import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { Child, startService } from "../support/child.ts";
import { openSql } from "../support/sql.ts";
import { pidsIn, scratchFolder, untilNothingIsLeft } from "./scratch.ts";

interface Report {
  readonly servers: Readonly<Record<string, { readonly role: string; readonly url?: string }>>;
  readonly environment: Readonly<Record<string, string>>;
}

const RUN = [process.execPath, join(packageRoot(), "scripts", "run.mjs"), "dev/services/main.ts"];
/** What RUN starts once it has compiled it. */
const COMPILED = [process.execPath, join(packageRoot(), "build", "dev", "services", "main.js")];
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

let temporary: string;
beforeEach(() => {
  temporary = scratchFolder();
});

beforeAll(async () => {
  const help = start(RUN, "--help");
  expect(await help.ended(), help.stderr).toMatchObject({ code: 0 });
  expect(help.stdout).toContain("npm run services -- [--only NAME,...]");
}, 120_000);

function start([command = "", ...before]: readonly string[], ...args: string[]): Child {
  const env = { TMPDIR: temporary };
  return new Child(command, [...before, ...args], { cwd: packageRoot(), env });
}

async function reportOf(child: Child): Promise<Report> {
  const [line] = await child.says(/^\{.*\}$/m);
  return JSON.parse(line) as Report;
}

test("it says where the servers are, the program runs on them, and SIGTERM ends them all", async () => {
  const services = start(RUN, "--json");
  const { servers, environment } = await reportOf(services);
  expect(Object.keys(servers)).toEqual(["postgres", "pgbouncer", "replica", "rollback"]);
  expect(environment).toEqual({
    SUPABASE_MAIN_URL: servers["postgres"]!.url,
    SUPABASE_READONLY_URL: servers["replica"]!.url,
    SUPABASE_ROLLBACK_URL: servers["rollback"]!.url,
  });
  const { child, url } = await startService([], { env: environment });
  const state = { type: "shared", data: "here" };
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(state);
  await fetch(`${url}/v1/states/told`, { method: "PUT", headers, body });
  await child.kill("SIGTERM");
  const main = openSql(environment["SUPABASE_MAIN_URL"]!);
  expect(await main.sql("select id from agent_state.states")).toEqual([{ id: "told" }]);
  await main.close();

  expect(await services.kill("SIGTERM"), services.stderr).toMatchObject({ code: 0 });
  expect([readdirSync(temporary), pidsIn(temporary)]).toEqual([[], []]);
});

test("people get a table and lines to paste; Ctrl-C ends it", async () => {
  const services = start(COMPILED, "--only", "replica");
  await services.says(/Ctrl-C stops the servers/);
  expect(services.stdout).toMatch(/^postgres +main +postgres:\/\/postgres:\S+\/postgres$/m);
  expect(services.stdout).toMatch(/^rollback +rollback +missing: not asked for$/m);
  expect(services.stdout).toMatch(
    /^ {2}SUPABASE_MAIN_URL=\S+ \\\n {2}SUPABASE_READONLY_URL=\S+ \\\n {2}\.\/agent_runtime state$/m,
  );
  expect(await services.kill("SIGINT"), services.stderr).toMatchObject({ code: 0 });
  expect([readdirSync(temporary), pidsIn(temporary)]).toEqual([[], []]);
});

test("killed with -9, in its start or later, it leaves nothing either", async () => {
  const starting = start(COMPILED, "--only", "rollback");
  await expect.poll(() => pidsIn(temporary)).not.toEqual([]);
  await starting.kill();
  await untilNothingIsLeft(temporary);

  const services = start(COMPILED, "--only", "rollback", "--json");
  await reportOf(services);
  await services.kill();
  await untilNothingIsLeft(temporary);
});

test("a plain user may start them", async (context) => {
  const isRoot = process.getuid?.() === 0;
  const before = isRoot ? AS_NOBODY : [];
  const probe = new Child([...before, "cat"][0]!, [...before, "cat", COMPILED[1]!].slice(1));
  if ((await probe.ended()).code !== 0) context.skip("no other user may read this checkout");
  const services = start([...before, ...COMPILED], "--only", "replica,rollback", "--json");
  const { servers } = await reportOf(services);
  const readonly = openSql(servers["replica"]!.url!);
  expect(await readonly.sql("select pg_is_in_recovery() as follows")).toEqual([{ follows: true }]);
  await readonly.close();
  expect(await services.kill("SIGTERM"), services.stderr).toMatchObject({ code: 0 });
  expect(readdirSync(temporary)).toEqual([]);
});

test.each([
  [["--only", "main"], 'no server "main"; there are postgres, pgbouncer, replica, rollback'],
  [["--folder", ""], "--folder needs the name of a folder"],
  [["--fast"], "--fast"],
])("%j is refused with what is wrong", async (args, message) => {
  const services = start(COMPILED, ...args);
  expect(await services.ended()).toMatchObject({ code: 2 });
  expect(services.stderr).toContain(message);
});
