import type pg from "pg";
import { Refusal } from "./postgrest-errors.ts";
import { unsafeStatement } from "./safe-update.ts";

/** A function that can be called. */
export interface Routine {
  readonly schema: string;
  readonly name: string;
  /** A single one without a name takes the whole body. */
  readonly parameters: readonly Parameter[];
  readonly isVolatile: boolean;
  readonly isSet: boolean;
}

interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly isOptional: boolean;
}

interface Source {
  readonly name: string;
  readonly text: string;
}

const ROUTINES = `select n.nspname as schema, p.proname as name, p.provolatile = 'v' as "isVolatile", p.proretset as "isSet",
    coalesce((select json_agg(json_build_object('name', coalesce(p.proargnames[a.n], ''), 'type', format_type(a.type, null),
                                                'isOptional', a.n > p.pronargs - p.pronargdefaults) order by a.n)
                from unnest(p.proargtypes::oid[]) with ordinality a(type, n)), '[]') as parameters
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any ($1)`;

const SOURCES = `select n.nspname || '.' || p.proname as name, p.prosrc as text
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where n.nspname not in ('pg_catalog', 'information_schema')`;

/** What a PostgREST knows of the functions: what was there when it last looked. */
export class PostgrestCache {
  readonly #pool: pg.Pool;
  readonly #schemas: readonly string[];
  #routines: readonly Routine[] = [];
  #unsafe: ReadonlyMap<string, "UPDATE" | "DELETE"> = new Map();

  constructor(pool: pg.Pool, schemas: readonly string[]) {
    this.#pool = pool;
    this.#schemas = schemas;
  }

  async reload(): Promise<void> {
    this.#routines = (await this.#pool.query<Routine>(ROUTINES, [this.#schemas])).rows;
    this.#unsafe = unsafeFunctions((await this.#pool.query<Source>(SOURCES)).rows);
  }

  /** The function of a call. One that is not known is looked for, but that call has had its answer by then. */
  find(call: {
    readonly schema: string;
    readonly name: string;
    /** JSON: the body, or what the URL says. */
    readonly sent: string;
    readonly isBody: boolean;
  }): Routine {
    const { schema, name, sent, isBody } = call;
    const named = this.#routines.filter((each) => each.schema === schema && each.name === name);
    const routine =
      named.find(({ parameters }) => isBody && takesWholeBody(parameters)) ??
      named.find(({ parameters }) => fits(parameters, sent));
    if (routine === undefined) {
      void this.reload().catch(() => undefined);
      const message = `Could not find the function ${schema}.${name} in the schema cache`;
      throw new Refusal(404, "PGRST202", message);
    }
    const unsafe = this.#unsafe.get(`${schema}.${name}`);
    if (unsafe !== undefined) throw new Refusal(400, "21000", `${unsafe} requires a WHERE clause`);
    return routine;
  }
}

function takesWholeBody([only, ...others]: readonly Parameter[]): boolean {
  return only?.name === "" && others.length === 0 && /^jsonb?$/.test(only.type);
}

function fits(parameters: readonly Parameter[], sent: string): boolean {
  const names = Object.keys(parse(sent));
  return (
    names.every((name) => name !== "" && parameters.some((each) => each.name === name)) &&
    parameters.every(({ name, isOptional }) => isOptional || names.includes(name))
  );
}

function parse(sent: string): object {
  try {
    const value = JSON.parse(sent) as unknown;
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Told below, the same as for what is no object.
  }
  throw new Refusal(400, "PGRST102", "Empty or invalid json");
}

/** Functions that hold a statement which pg_safeupdate refuses, and those that call them. */
function unsafeFunctions(sources: readonly Source[]): Map<string, "UPDATE" | "DELETE"> {
  const unsafe = new Map<string, "UPDATE" | "DELETE">();
  for (const { name, text } of sources) {
    const kind = unsafeStatement(text);
    if (kind !== undefined) unsafe.set(name, kind);
  }
  for (let before = -1; before < unsafe.size;) {
    before = unsafe.size;
    for (const { name, text } of sources) {
      const called = [...unsafe.keys()].find((each) => text.includes(`${each}(`));
      if (called !== undefined && !unsafe.has(name)) unsafe.set(name, unsafe.get(called)!);
    }
  }
  return unsafe;
}
