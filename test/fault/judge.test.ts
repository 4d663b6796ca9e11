import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { StateManager } from "../../src/index.ts";
import { changesetOf } from "./changesets.mjs";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";

// The judge of all fault tests is itself judged: it sees each kind of harm, done by hand.

let postgres: PrivatePostgres;
const missing = missingPostgres();
afterEach(() => (missing === undefined ? postgres.close() : undefined));

/** Each kind of harm, and who does it to the database. */
const HARM = {
  lost: `update agent_state.changes set idempotency_key = 'another' where idempotency_key = 'w-0-3'`,
  halfOrTwice: `update agent_state.changes set idempotency_key = 'w-1-2' where idempotency_key = 'w-1-3'`,
  versionGaps: `delete from agent_state.changes where idempotency_key = 'w-2-2'`,
  stepGaps: `update agent_state.changes set step = step + 100 where idempotency_key = 'w-3-3'`,
  staleStates: `update agent_state.states set step = step + 1 where id = 'own-4'`,
  brokenDigests: `update agent_state.changes set body = '0' where idempotency_key = 'w-5-2'`,
  reservations: `update agent_state.states set version = 0, base_version = 0 where id = 'own-6'`,
};

test.skipIf(missing !== undefined)(
  "every kind of harm is seen, and only where it was done",
  async () => {
    postgres = await PrivatePostgres.open();
    const connection = { connectionString: postgres.url };
    const manager = await StateManager.open({ supabase: { main: postgres.url } });
    const ledger = new Ledger();
    for (let writer = 0; writer < 8; writer += 1) {
      for (let count = 0; count < 4; count += 1) {
        await ledger.write(manager, changesetOf({ name: "w" }, writer, count));
      }
    }
    await manager.close();
    expect(await judge(connection, ledger)).toEqual(SOUND);

    const half = new pg.Client(connection);
    await half.connect();
    for (const [kind, statement] of Object.entries(HARM)) {
      await half.query("begin");
      const { rowCount } = await half.query(statement);
      expect(rowCount, kind).toBe(1);
      await half.query("commit");
      expect(await judge(connection, ledger), kind).not.toMatchObject({ [kind]: [] });
    }
    await half.query(`delete from agent_state.changes c using agent_state.states s
    where s.state_no = c.state_no and s.id like 'trio-%-b' and c.idempotency_key = 'w-7-0'`);
    expect((await judge(connection, ledger)).halfOrTwice).toContain("w-7-0");
    await half.end();

    ledger.attempts.at(-1)!.fate = "denied";
    ledger.unexpected.push("an answer that no fault explains");
    const verdict = await judge(connection, ledger);
    expect(verdict.denied).toEqual(["w-7-3"]);
    expect(verdict.unexpected).toEqual(["an answer that no fault explains"]);
  },
);
