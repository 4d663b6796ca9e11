import { expect, test } from "vitest";
import { testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";

test("where a scope stands is told in no time, also after it went back over very many steps", async () => {
  const bench = await openBench(testHomes().find(({ available }) => available === true)!);
  try {
    const manager = bench.openManager();
    await manager.updateState("far", "note", 1);
    const client = await bench.connect();
    const query = async (text: string): Promise<unknown[]> => (await client.query(text)).rows;
    const no = "(select scope_no from agent_state.scopes where scope = 'far')";
    await query(`set session_replication_role = replica; update agent_state.changes set step = 80002 where scope_no = ${no};
      insert into agent_state.quarantine (scope_no, step, reason) select ${no}, g, 'went back' from generate_series(2, 80001) g`);
    await query("set statement_timeout = '5s'");
    const standing = "select step, good_step, cardinality(quarantined) as quarantined from";
    const expected = [{ step: "80002", good_step: "1", quarantined: 80_000 }];
    expect(await query(`${standing} agent_state_api.scope_heads('{default}', '{far}')`)).toEqual(
      expected,
    );
    expect(await query(`${standing} agent_state_api.scopes_after(null, null, 9)`)).toEqual(
      expected,
    );
    await client.end();
  } finally {
    await bench.close();
  }
});
