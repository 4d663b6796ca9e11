import { expect } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Finding, FsckOptions } from "../../src/state/fsck.ts";
import { testHomes } from "../support/homes.ts";
import type { Bench } from "../support/manager.ts";
import { HandFollower, openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";

/** A document of a state as it is now. */
export interface Held {
  readonly id: string;
  readonly data: unknown;
  readonly phase: string | null;
}

/** Main and its rollback copies, open to vandals; what happens in them is about one scope at a time. */
export class Scene {
  readonly pair: Pair;
  readonly bench: Bench;
  readonly follower: HandFollower;
  /** Looks only when it is asked to; knows the rollback copies. */
  readonly manager: StateManager;
  scope = "";
  #count = 0;

  private constructor(pair: Pair, follower: HandFollower) {
    this.pair = pair;
    this.bench = pair.bench;
    this.follower = follower;
    this.manager = pair.bench.openManager({
      fsck: { sweepMs: 0, statesPerSecond: 0, rollback: pair.copies },
    });
  }

  static async open(): Promise<Scene> {
    const home = testHomes().find(({ available }) => available === true)!;
    const pair = await openPair(home);
    return new Scene(pair, await HandFollower.begin(pair));
  }

  close(): Promise<void> {
    return this.pair.close();
  }

  /** A scope of two states: a task with phases, and a conversation that is kept as deltas. */
  async setUp(): Promise<void> {
    const { manager } = this;
    this.scope = `run-${++this.#count}`;
    const { scope } = this;
    const [task, talk] = [`${scope}.task`, `${scope}.talk`];
    await manager.updateState(task, "task", { goal: 1 }, { scope });
    await manager.updateState(talk, "note", { messages: ["hello"] }, { scope });
    await manager.mergeState(task, { goal: 2 }, { phase: "ready" });
    await manager.appendState(talk, "/messages", ["and"]);
    await manager.appendState(talk, "/messages", ["good bye"]);
    await manager.mergeState(task, { goal: 3 });
    await manager.updateState(`other-${scope}`, "task", { goal: "theirs" });
    await this.follower.drain();
  }

  /** SQL for the number of one of its states. */
  noOf(id: string): string {
    return `(select state_no from agent_state.states where id = '${this.scope}.${id}')`;
  }

  /** What is done by hand; `isSly`: with no trigger that could tell. */
  async vandalize(statement: string, isSly = false): Promise<void> {
    const client = await this.bench.connect();
    try {
      if (isSly) await client.query("set session_replication_role = replica");
      await client.query(statement);
    } finally {
      await client.end();
    }
  }

  /** What the detector finds in the scope; every check of it can run. */
  async look(options: Pick<FsckOptions, "fix" | "plan"> = {}): Promise<readonly Finding[]> {
    const { checks, findings } = await this.manager.fsck({ scope: this.scope, ...options });
    const missed = checks.filter(({ status }) => status === "could not run");
    const reason = "there is no replica";
    expect(missed).toEqual([{ check: "C5", status: "could not run", reason }]);
    return findings;
  }

  async isHeld(): Promise<boolean> {
    return (await this.manager.scope(this.scope)).hold;
  }

  /** Its rows with their documents, to the letter. */
  rows(): Promise<Record<string, unknown>[]> {
    return this.bench.sql(
      `select id, phase, step, version, digest, agent_state.document(state_no, version)::text as data from agent_state.states
        where id like $1 order by id`,
      [`${this.scope}.%`],
    );
  }
}

/** The checks that found something. */
export function named(findings: readonly Finding[]): string[] {
  return [...new Set(findings.map(({ check }) => check))].toSorted();
}

/** What rows say. */
export function heldIn(rows: readonly Record<string, unknown>[]): Held[] {
  return rows.map(({ id, data, phase }) => ({
    id: id as string,
    data: JSON.parse(data as string) as unknown,
    phase: phase as string | null,
  }));
}
