import pg from "pg";
import { packageVersion } from "../../service/package-root.ts";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { ProvenChange, RestoredScope } from "../../state/restore-port.ts";
import type { ScopeName } from "../../state/rollback-port.ts";
import { clientConfig } from "../connection.ts";
import type { ConnectionOptions } from "../connection.ts";
import { failureOf, sqlState } from "../failure.ts";
import { migrate } from "../migrate.ts";
import { readMigrations, RESTORE_STEP } from "../migrations.ts";

/** Of so many stacks the tasks are rebuilt in one transaction. */
const STACKS = 200;

/** How far an earlier run came. */
export interface RestoreStart {
  /** The last scope that is there; null: none is. */
  readonly after: ScopeName | null;
  /** What came of it, where all is there; else null. */
  readonly report: string | null;
  /** Whether that run came to its end. */
  readonly isDone: boolean;
}

/** A scope whose log is there, and what else was said of it. */
export interface ScopeFacts extends RestoredScope {
  /** Why it is on hold; null: it is not. */
  readonly hold: string | null;
  /** As PostgreSQL writes an int8multirange. */
  readonly quarantined: string;
}

export interface RestoredCounts {
  readonly scopes: number;
  /** Those that live. */
  readonly states: number;
  readonly changes: number;
  readonly tasks: number;
  /** Of these, those that somebody began to work on, and that have not ended. */
  readonly begunTasks: number;
}

/** A main that is being rebuilt, over one connection of its owner. Every method throws UNAVAILABLE and RESTORE_REFUSED. */
export class RestoredMain {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  /**
   * Makes the schema, and marks the database: nobody else opens it before `finish`.
   *
   * @param order what is restored from where: what a run that goes on must say again.
   * @throws {AgentRuntimeError} RESTORE_REFUSED: it is not empty. SCHEMA_MISMATCH, UNAVAILABLE.
   */
  static async open(
    options: ConnectionOptions,
    order: string,
  ): Promise<{ readonly main: RestoredMain; readonly start: RestoreStart }> {
    const client = new pg.Client(clientConfig(options));
    client.on("error", () => undefined);
    const main = new RestoredMain(client);
    try {
      await client.connect();
      if (!(await main.#isMarked())) await migrate(options);
      return { main, start: await main.#begin(order) };
    } catch (error) {
      await main.close();
      throw error instanceof AgentRuntimeError ? error : failureOf(error, false);
    }
  }

  /** Whether an earlier run of this program's functions began. */
  async #isMarked(): Promise<boolean> {
    const [table] = await this.#rows<{ books: string | null }>(
      "select to_regclass('agent_state.migrations')::text as books",
    );
    if (table!.books === null) return false;
    const books = await this.#rows<{ number: number; checksum: string; program: string }>(
      "select number, checksum, program from agent_state.migrations",
    );
    const mark = books.find(({ number }) => number === RESTORE_STEP);
    if (mark === undefined) return false;
    const functions = readMigrations("main").find(({ number }) => number === 0)!;
    if (books.some(({ number, checksum }) => number === 0 && checksum === functions.checksum)) {
      return true;
    }
    throw refused(
      `Version ${mark.program} of this program began to rebuild this main. Finish it with that version, or name an empty database.`,
    );
  }

  async #begin(order: string): Promise<RestoreStart> {
    const [row] = await this.#rows<{ answer: BeginAnswer }>(
      "select agent_state.begin_restore($1, $2) as answer",
      [order, packageVersion()],
    );
    const { refused: why, states, after = null, report = null, done = false } = row!.answer;
    if (why === "not empty") {
      throw refused(
        `Main is not empty: it has ${states} states. A restore never writes over them; name an empty database in \`supabase.main\`.`,
      );
    }
    if (why !== undefined) {
      throw refused(
        "Another restore of this main was begun: with the other choice of --promoted, or before the rollback database followed on. " +
          "Go on with what was chosen then, or name an empty database in `supabase.main`.",
      );
    }
    return { after, report, isDone: done };
  }

  /** Puts a page of the log in, and proves it there. */
  async putChanges(changes: readonly ProvenChange[]): Promise<void> {
    const rows = changes.map((change) => ({
      ...change,
      step: change.step.toString(),
      version: change.version.toString(),
    }));
    await this.#rows("select agent_state.restore_changes($1)", [JSON.stringify(rows)]);
  }

  /** The log of these scopes is there: their holds and quarantines, and that they are done up to `after`. */
  async putScopes(scopes: readonly ScopeFacts[], after: ScopeName): Promise<void> {
    const facts = scopes.map((scope) => ({ ...scope, step: scope.step.toString() }));
    const { namespace, scope } = after;
    await this.#rows("select agent_state.restore_scopes($1, $2)", [
      JSON.stringify(facts),
      JSON.stringify({ namespace, scope }),
    ]);
  }

  /** What scheduling needs of tasks, once all scopes are there. */
  async putTasks(signal: AbortSignal): Promise<RestoredCounts> {
    for (const pass of ["restore_tasks", "tie_tasks"]) {
      let after: string | null = "0";
      while (after !== null) {
        signal.throwIfAborted();
        const rows: { last: string | null }[] = await this.#rows(
          `select agent_state.${pass}($1, $2) as last`,
          [after, STACKS],
        );
        after = rows[0]!.last;
      }
    }
    const [row] = await this.#rows<Record<string, string>>(
      "select * from agent_state.count_restored()",
    );
    const { scopes, states, changes, tasks, begun_tasks: begun } = row!;
    return {
      scopes: Number(scopes),
      states: Number(states),
      changes: Number(changes),
      tasks: Number(tasks),
      begunTasks: Number(begun),
    };
  }

  /** Keeps what came of it, for a run that goes on from here. */
  async keepReport(report: string): Promise<void> {
    await this.#rows("select agent_state.report_restore($1)", [report]);
  }

  /** The steps that scopes were restored to; 0: they were not. */
  async stepsOf(scopes: readonly ScopeName[]): Promise<RestoredScope[]> {
    const rows = await this.#rows<{ namespace: string; scope: string; step: string }>(
      "select * from agent_state.restored_steps($1, $2)",
      [scopes.map(({ namespace }) => namespace), scopes.map(({ scope }) => scope)],
    );
    return rows.map(({ namespace, scope, step }) => ({ namespace, scope, step: BigInt(step) }));
  }

  /** From now on it is a main as any other. */
  async finish(): Promise<void> {
    await this.#rows("select agent_state.finish_restore()");
    await this.#rows("analyze agent_state.scopes, agent_state.states, agent_state.changes");
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }

  async #rows<Answer extends pg.QueryResultRow>(
    statement: string,
    values: unknown[] = [],
  ): Promise<Answer[]> {
    try {
      return (await this.#client.query<Answer>(statement, values)).rows;
    } catch (error) {
      if (sqlState(error) !== "PT409") throw failureOf(error, false);
      throw new AgentRuntimeError(
        "RESTORE_REFUSED",
        `What main holds is not what was put in: ${(error as pg.DatabaseError).detail}. Start over with an empty database that nobody else uses.`,
      );
    }
  }
}

interface BeginAnswer {
  readonly refused?: string;
  readonly states?: number;
  readonly after?: ScopeName | null;
  readonly report?: string | null;
  readonly done?: boolean;
}

function refused(sentence: string): AgentRuntimeError {
  return new AgentRuntimeError("RESTORE_REFUSED", `${sentence} Nothing was changed.`);
}
