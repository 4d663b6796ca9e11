import type { Postgres } from "./postgres.ts";

/** What each argument of the commit function is where one state is replaced; the others are null. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  p_unit: "array[1]",
  p_namespace: "array['default']",
  p_id: "array['task-' || :key]",
  p_type: "array['task']",
  p_op: "array['u']",
  p_body: "array[:data::json]",
  p_data_bytes: "1048576",
  p_create: "false",
};

interface Parameter {
  readonly name: string;
  readonly optional: boolean;
}

/**
 * A pgbench script that calls the function which the library calls, with one change a transaction.
 *
 * Made from the function as it is installed, so that it says the same as the library, whatever
 * arguments a version of it has.
 */
export async function commitScript(postgres: Postgres, database: string): Promise<string> {
  const parameters = await postgres.query<Parameter>(
    database,
    `select p.name, p.place > f.pronargs - f.pronargdefaults as optional
       from pg_proc f, unnest(f.proargnames) with ordinality p(name, place)
      where f.oid = to_regproc('agent_state_api.commit_batch') and p.place <= f.pronargs
      order by p.place`,
  );
  const names = parameters.map(({ name }) => name);
  const unknown = Object.keys(ARGUMENTS).filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`commit_batch takes no ${unknown.join(", ")}`);
  const given = parameters
    .filter(({ name, optional }) => name in ARGUMENTS || !optional)
    .map(({ name }) => `${name} => ${ARGUMENTS[name] ?? "null"}`);
  const call = `select * from agent_state_api.commit_batch(${given.join(", ")});`;
  return `\\set key random(1, :keys)\n${call}\n`;
}

/** Throws where that script is refused: it would be fast, and say nothing. */
export async function checkCommitScript(
  postgres: Postgres,
  database: string,
  script: string,
): Promise<void> {
  const statement = script.split("\n")[1]!.replace(":key", "1").replace(":data", `'{"check":1}'`);
  const [row] = await postgres.query<{ code: string | null; version: string }>(database, statement);
  if (row?.code !== null)
    throw new Error(`commit_batch refused the benchmark's call: ${row?.code}`);
}
