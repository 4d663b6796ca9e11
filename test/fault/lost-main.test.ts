import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { StateManager } from "../../src/index.ts";
import type { Written } from "../../src/state/state.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { run } from "../cli/fake-terminal.ts";
import { expectSound, loggedIn } from "../rollback/restored.ts";
import { requireHere } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { connectionTo } from "../support/manager.ts";
import { startProgram } from "../support/child.ts";
import { openSql } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { Ledger } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";

const WRITERS = 32;
const acknowledged = proofLength({ short: 400, full: 20_000 });

/** A scope in a report for programs. */
interface Loss {
  readonly scope: string;
  readonly restoredStep: string;
  readonly lostFrom: string | null;
  readonly lostTo: string | null;
}

/** A change, and when its caller was told of it. */
interface ToldChange extends Written {
  readonly toldAt: number;
}

interface Report {
  readonly copiedUntil: string;
  readonly losses: readonly Loss[];
}

describe("main lost altogether under load", () => {
  const missing = missingPostgres();
  if (missing !== undefined) return requireHere(missing);

  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });

  async function openServer(): Promise<PrivatePostgres> {
    const server = await PrivatePostgres.open();
    ends.push(() => server.close());
    return server;
  }

  async function folder(): Promise<string> {
    const name = await mkdtemp(join(tmpdir(), "art-lost-"));
    ends.push(() => rm(name, { recursive: true, force: true }));
    return name;
  }

  function variables(main: PrivatePostgres, rollback: PrivatePostgres): Record<string, string> {
    return {
      AGENT_RUNTIME_SUPABASE_MAIN: main.url,
      AGENT_RUNTIME_SUPABASE_ROLLBACK: rollback.url,
    };
  }

  /** Load until main is killed, and its directory removed; what callers were told. */
  async function loseMain(rollback: PrivatePostgres): Promise<readonly ToldChange[]> {
    const main = await PrivatePostgres.open();
    const supabase = { main: main.url, rollback: rollback.url };
    const manager = await StateManager.open({ supabase });
    ends.push(() => manager.close());
    const ledger = new Ledger();
    const load = startLoad({
      ledger,
      faces: [manager],
      writers: WRITERS,
      name: "lost",
      timeoutMs: 5_000,
    });
    await ledger.more(acknowledged);
    await main.end("SIGKILL", () => ledger.more(1));
    await main.close();
    await load.stop();
    await manager.close();
    expect(ledger.unexpected).toEqual([]);
    return ledger.attempts.flatMap(({ committed, toldAt }) =>
      ((committed?.changes ?? []) as Written[]).map((change) => ({ ...change, toldAt: toldAt! })),
    );
  }

  test(
    "is rebuilt up to what was copied, and the losses are the truth",
    { timeout: 300_000 },
    async () => {
      const rollback = await openServer();
      const told = await loseMain(rollback);
      const main = await openServer();
      const env = variables(main, rollback);
      const cwd = await folder();
      const { code, stdout, stderr } = await run(
        ["state", "restore", "--from", "rollback", "--json"],
        { env, cwd },
      );
      expect(stderr).toBe("");
      expect(code).toBe(0);
      const report = JSON.parse(stdout) as Report;
      expect(report.losses).toEqual([]);
      await expectSound(main);

      const kept = await main.sql<{ scope: string; id: string; version: string; digest: string }>(
        `select o.scope, s.id, c.version, encode(c.digest, 'hex') as digest
         from agent_state.changes c join agent_state.states s on s.state_no = c.state_no join agent_state.scopes o on o.scope_no = c.scope_no`,
      );
      const digests = new Map(kept.map(({ id, version, digest }) => [`${id}@${version}`, digest]));
      const heads = new Map(
        (
          await main.sql<{ scope: string; head: string; first: Record<string, string> }>(
            `select o.scope, max(c.step) as head from agent_state.changes c join agent_state.scopes o on o.scope_no = c.scope_no group by 1`,
          )
        ).map(({ scope, head }) => [scope, BigInt(head)]),
      );
      const newest = new Map<string, Written>();
      const copiedUntil = new Date(report.copiedUntil);
      let lost = 0;
      for (const written of told) {
        const { id, version, scope, step, digest, toldAt } = written;
        if (step > (heads.get(scope) ?? 0n)) {
          lost += 1;
          // What is lost unseen came after the moment that the report names.
          expect(toldAt, `${id}@${version}`).toBeGreaterThanOrEqual(copiedUntil.getTime());
          continue;
        }
        if (version > (newest.get(id)?.version ?? 0n)) newest.set(id, written);
        const there = digests.get(`${id}@${version}`);
        if (there !== undefined) expect(there, `${id}@${version}`).toBe(digest);
      }
      for (const { id, version, digest } of newest.values()) {
        const [state] = await main.sql<{ version: string; digest: string }>(
          "select version, encode(digest, 'hex') as digest from agent_state.states where id = $1",
          [id],
        );
        // A write whose caller was told nothing may have come after it.
        expect(BigInt(state!.version)).toBeGreaterThanOrEqual(version);
        expect(digests.get(`${id}@${version}`)).toBe(digest);
      }
      console.log(
        `${told.length} changes told, ${kept.length} rebuilt, ${lost} lost after the copy`,
      );

      // The service goes on with both, and going one step back comes from the rollback database.
      const again = await StateManager.open({
        supabase: { main: main.url, rollback: rollback.url },
      });
      ends.push(() => again.close());
      const { step } = await again.updateState("own-2", "shared", { after: "the loss" });
      const [before] = kept.filter(({ id }) => id === "own-2");
      expect(before).toBeDefined();
      await until(async () => (await again.scope("own-2")).rollbackStep === step - 1n);
      expect(await again.rollback("own-2")).toMatchObject({ source: "rollback", undoneStep: step });
    },
  );

  test(
    "and again while it was rebuilt: it goes on where it stopped",
    { timeout: 300_000 },
    async () => {
      const rollback = await openServer();
      await loseMain(rollback);
      const main = await openServer();
      const env = variables(main, rollback);
      const cwd = await folder();
      // It stops where it would write holds: by then a part of the log is there.
      await migrate(connectionTo(main.url));
      const gate = openSql(main.url);
      ends.push(() => gate.close());
      const lock = await gate.connect();
      await lock.query("begin; lock table agent_state.holds in access exclusive mode");
      const child = await startProgram(["state", "restore", "--from", "rollback"], { env, cwd });
      const isWaiting = async (): Promise<boolean> => {
        const waiting = await main.sql(
          "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%restore_scopes%' and pid <> pg_backend_pid()",
        );
        return waiting.length === 1;
      };
      await until(isWaiting, { what: "a restore that is half done", timeoutMs: 120_000 });
      await child.kill("SIGKILL");
      await lock.query("rollback");
      await until(async () => !(await isWaiting()));
      expect(await loggedIn(main)).not.toEqual([]);
      // Its lease would run out by itself, after half a minute.
      await rollback.sql("update agent_state.follower set until = '-infinity' where only_one");
      const refused = await StateManager.open({ supabase: { main: main.url } }).catch(
        (error: unknown) => error,
      );
      expect(refused).toMatchObject({ code: "RESTORE_UNFINISHED" });
      const { code, stdout } = await run(["state", "restore", "--from", "rollback", "--json"], {
        env,
        cwd,
      });
      expect(code).toBe(0);
      expect((JSON.parse(stdout) as Report).losses).toEqual([]);
      await expectSound(main);
    },
  );
});
