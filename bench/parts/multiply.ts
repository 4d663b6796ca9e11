import pg from "pg";
import type { Postgres } from "./postgres.ts";

/** The tables that grow with the states, and the columns that tell one copy of a row from another; the first is there in each. */
const NUMBER_OF = {
  scopes: "scope_no",
  states: "state_no",
  changes: "state_no",
  stacks: "stack_no",
  tasks: "task_no",
} as const;
const TABLES = Object.keys(NUMBER_OF) as (keyof typeof NUMBER_OF)[];
const NUMBERS: readonly string[] = ["scope_no", "state_no", "stack_no", "task_no"];
const NAMES: readonly string[] = ["id", "scope"];

/** Rows are made by two sessions, as the machine has two cores at least. */
const SESSIONS = 2;

/** What the copy of a state is called; copy 0 is the original. */
export function copyOf(id: string, copy: number): string {
  return copy === 0 ? id : `${id}-${copy}`;
}

/**
 * Makes of every state `times` states, each with its scope and history, straight in the tables.
 *
 * A copy differs in its numbers and names only; its digests are those of the original. It takes the
 * columns as it finds them, so it need not know the schema.
 */
export async function multiplyStates(
  postgres: Pick<Postgres, "query">,
  database: string,
  times: number,
): Promise<void> {
  const indexes = await dropIndexes(postgres, database, "changes");
  const shift = await largestNumber(postgres, database);
  for (const table of TABLES) {
    await inParallel(
      Array.from({ length: SESSIONS }, (_, session) => async () => {
        const [from, to] = [share(times, session), share(times, session + 1) - 1];
        await copyRows(postgres, database, { table, shift, from: Math.max(1, from), to });
      }),
    );
  }
  await inParallel(indexes.map((index) => () => run(postgres, database, index)));
  for (const [table, column] of [
    ["scopes", "scope_no"],
    ["states", "state_no"],
  ]) {
    const sequence = `pg_get_serial_sequence('agent_state.${table}', '${column}')`;
    await run(postgres, database, `select setval(${sequence}, ${shift * times + 1})`);
  }
  await inParallel(
    TABLES.map((table) => () => run(postgres, database, `vacuum analyze agent_state.${table}`)),
  );
  await run(postgres, database, "checkpoint");
}

async function copyRows(
  postgres: Pick<Postgres, "query">,
  database: string,
  copies: { table: keyof typeof NUMBER_OF; shift: number; from: number; to: number },
): Promise<void> {
  const { table, shift, from, to } = copies;
  const columns = await postgres.query<{ name: string }>(
    database,
    `select attname as name from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
    [`agent_state.${table}`],
  );
  const names = columns.map(({ name }) => pg.escapeIdentifier(name));
  const values = columns.map(({ name }) => {
    const column = `r.${pg.escapeIdentifier(name)}`;
    if (NUMBERS.includes(name)) return `${column} + copy * ${shift}::bigint`;
    return NAMES.includes(name) ? `${column} || '-' || copy` : column;
  });
  // No triggers: no row is noted as made by hand, no phase is judged, and what refers to what is as it was.
  await run(
    postgres,
    database,
    `set session_replication_role = replica;
     insert into agent_state.${table} (${names.join(", ")}) overriding system value
     select ${values.join(", ")} from generate_series(${from}, ${to}) copy,
       (select * from agent_state.${table} where ${NUMBER_OF[table]} <= ${shift} offset 0) r`,
  );
}

/** Drops the indexes of a table, as building them at the end is faster; returns how to make them again. */
async function dropIndexes(
  postgres: Pick<Postgres, "query">,
  database: string,
  table: string,
): Promise<readonly string[]> {
  const indexes = await postgres.query<{ name: string; definition: string; owner: string | null }>(
    database,
    `select i.indexrelid::regclass::text as name, c.conname as owner,
            coalesce('alter table ' || i.indrelid::regclass || ' add constraint ' || quote_ident(c.conname)
                     || ' ' || pg_get_constraintdef(c.oid), pg_get_indexdef(i.indexrelid)) as definition
       from pg_index i left join pg_constraint c on c.conindid = i.indexrelid
      where i.indrelid = $1::regclass`,
    [`agent_state.${table}`],
  );
  for (const { name, owner } of indexes) {
    const drop =
      owner === null
        ? `drop index ${name}`
        : `alter table agent_state.${table} drop constraint ${pg.escapeIdentifier(owner)}`;
    await run(postgres, database, drop);
  }
  return indexes.map(({ definition }) => definition);
}

async function largestNumber(postgres: Pick<Postgres, "query">, database: string): Promise<number> {
  const [row] = await postgres.query<{ largest: string }>(
    database,
    `select greatest((select max(scope_no) from agent_state.scopes),
                     (select max(state_no) from agent_state.states))::text as largest`,
  );
  return Number(row!.largest);
}

async function run(
  postgres: Pick<Postgres, "query">,
  database: string,
  statement: string,
): Promise<void> {
  await postgres.query(database, statement);
}

/** The first number of a session's share of `times` copies. */
function share(times: number, session: number): number {
  return Math.floor((times * session) / SESSIONS);
}

async function inParallel(work: readonly (() => Promise<void>)[]): Promise<void> {
  await Promise.all(work.map((one) => one()));
}
