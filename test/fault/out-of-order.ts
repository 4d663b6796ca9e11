import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { randomFrom } from "./random.ts";

/** Transactions by hand, until stopped. */
export interface Transactions {
  /** How many were committed. */
  readonly committed: number;
  /** Commits what is open; resolves when all connections are closed. */
  stop(): Promise<void>;
}

const CONNECTIONS = 6;
/** One that waits for another's lock would wait for ever if all waited for all. */
const PATIENCE_MS = 20;
/** Scopes that the load writes as well; a transaction takes one of them, so that no two wait in a circle. */
const SHARED = ["hot", "trio-0", "trio-1", "own-0"];
/** Scopes of these transactions alone, always taken in this order. */
const OWN = ["deep-0", "deep-1", "deep-2", "deep-3"];

/**
 * Transactions of different length on connections of their own: each takes its id early or late,
 * writes one scope or several, and commits when chance says, long after others that began later.
 */
export async function startTransactions(connectionString: string): Promise<Transactions> {
  const random = randomFrom(4);
  const ready: (() => void)[] = [];
  const stopping = new AbortController();
  let committed = 0;

  const work = async (client: pg.Client, number: number): Promise<void> => {
    for (let count = 0; !stopping.signal.aborted; count += 1) {
      await client.query("begin");
      if (random(2) === 0) await client.query("select pg_current_xact_id()");
      const scopes = random(2) === 0 ? [SHARED[random(SHARED.length)]!] : OWN.slice(random(3));
      for (const scope of scopes) await commitOne(client, scope, { number, count });
      await new Promise<void>((resolve) => ready.push(resolve));
      await client.query("commit");
      committed += 1;
    }
    await client.end();
  };

  const conduct = async (workers: Promise<unknown>): Promise<void> => {
    const over = new AbortController();
    workers.finally(() => over.abort()).catch(() => undefined); // told by the wait below
    while (!over.signal.aborted) {
      if (ready.length < CONNECTIONS) await sleep(random(PATIENCE_MS));
      const [next] = ready.splice(random(ready.length), 1);
      next?.();
    }
    await workers;
  };

  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const client = new pg.Client({ connectionString });
      await client.connect();
      return client;
    }),
  );
  const done = conduct(Promise.all(clients.map(work)));
  return {
    get committed() {
      return committed;
    },
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}

async function commitOne(client: pg.Client, scope: string, data: object): Promise<void> {
  const changes = [{ id: `${scope}-by-hand`, type: "shared", data }];
  await client.query("select agent_state_api.commit($1::jsonb)", [
    JSON.stringify({ scope, changes }),
  ]);
}
