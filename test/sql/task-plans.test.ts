import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { multiplyStates } from "../../bench/parts/multiply.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

const CALLS = {
  push: `push_tasks('default', '{s1}', '{new}', '{work}', array['1'::json], '{0}', '{step}', '{null}', '{null}', '{null}', '{null}', '{null}',
    '{3}', '{0}', '{0}', '{null}', '{null}', null, 8, 1000000)`,
  "claim from any stack": `claim_tasks('default', 'v', '1', 600000, '{}', '{}', 4)`,
  "claim of some kinds": `claim_tasks('default', 'v', '1', 600000, '{}', '{work,other}', 4)`,
  "claim from a stack": `claim_tasks('default', 'v', '1', 600000, '{s1}', '{}', 4)`,
  "complete and claim": `report_tasks('default', '{held}', '{1}', '{complete}', array['1'::json], array[null::json], 'u', 'u', '1', 600000,
    '{s1}', '{}', 1)`,
  "checkpoint and claim": `report_tasks('default', '{held}', '{1}', '{checkpoint}', array[null::json], array['1'::json], 'u', 'u', '1', 600000,
    '{}', '{}', 4)`,
  heartbeat: `heartbeat('default', 'v', '1', 600000)`,
  sweep: `sweep_tasks(100, 3)`,
} as const;
/** Longer than all this takes: whether a lease is renewed is not to depend on the time. */
const LEASE_MS = 600_000;
type Call = keyof typeof CALLS;

const [direct] = testHomes();

describeOnHomes(
  "what is called all the time where tasks are, however many",
  (home) => {
    let bench: Bench;
    const plans: Record<"few" | "many", Record<string, readonly string[]>> = { few: {}, many: {} };

    beforeAll(async () => {
      bench = await openBench(home);
      const { tasks } = bench.openManager({ tasks: { leaseMs: LEASE_MS } });
      for (let n = 0; n < 40; n++) await tasks.push(`s${n % 4}`, { kind: "work", input: n });
      const order = { worker: "w", incarnation: "1" };
      for (const { id, epoch } of await tasks.claim({ ...order, limit: 4 }))
        await tasks.complete(id, { epoch, result: null });
      await tasks.push("s1", { id: "held" });
      await tasks.claim({ worker: "u", incarnation: "1", stacks: ["s1"], limit: 1 });
      plans.few = await plansOf(bench);
      const postgres = {
        query: <Row extends pg.QueryResultRow>(
          _: string,
          text: string,
          values?: readonly unknown[],
        ) => bench.sql<Row>(text, values),
      };
      await multiplyStates(postgres, bench.database.name, 1_000);
      plans.many = await plansOf(bench);
    }, 120_000);

    afterAll(() => bench.close());

    test.each(Object.keys(CALLS))("%s: the same indexes are read with 40,000 tasks", (call) => {
      expect(plans.few[call]!.length).toBeGreaterThan(3);
      expect(plans.many[call]).toEqual(plans.few[call]);
      const whole = /^(?:Seq|Bitmap Heap) Scan /;
      expect(plans.many[call]!.filter((node) => whole.test(node))).toEqual([]);
    });
  },
  [direct!],
);

/** Which tables are read how by each call, and by all that it calls, each once; nothing stays of them. */
async function plansOf({ database }: Bench): Promise<Record<Call, readonly string[]>> {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    await client.query(
      `load 'auto_explain';
       set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
       set auto_explain.log_format = json; set auto_explain.log_level = notice`,
    );
    const plans = {} as Record<Call, readonly string[]>;
    for (const call of Object.keys(CALLS) as Call[]) {
      const nodes: string[] = [];
      client.on("notice", ({ message }) => nodes.push(...scansIn(message ?? "")));
      await client.query(`begin`);
      await client.query(`select * from agent_state_api.${CALLS[call]}`);
      await client.query(`rollback`);
      client.removeAllListeners("notice");
      plans[call] = [...new Set(nodes)].toSorted();
    }
    return plans;
  } finally {
    await client.end();
  }
}

function scansIn(notice: string): string[] {
  const json = notice.indexOf("{");
  if (json < 0) return [];
  const { Plan: root } = JSON.parse(notice.slice(json)) as { readonly Plan: Node };
  return nodesOf(root).flatMap((node) => {
    const table = node["Relation Name"];
    const index = node["Index Name"];
    return table === undefined ? [] : [`${node["Node Type"]} ${table} ${index ?? ""}`.trim()];
  });
}

interface Node {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly Plans?: readonly Node[];
}

function nodesOf(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}
