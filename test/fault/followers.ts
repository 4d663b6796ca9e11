import pg from "pg";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { StateFace } from "../../src/state/face.ts";
import type { Change } from "../../src/state/state.ts";

interface FollowerOptions {
  readonly random: (below: number) => number;
  /** At most so many changes lie between two disconnections; default 30. */
  readonly every?: number;
  /** Cuts the connection under a watch that goes on by itself; unsaid: it is left, and another begun. */
  readonly cut?: () => void;
}

/** Somebody who watches, is torn away at random moments, and comes back with the cursor it had. */
export class Follower {
  /** Every change that it was handed, as `scope step id version`, in that order. */
  readonly seen: string[] = [];
  readonly #face: StateFace;
  readonly #options: FollowerOptions;
  readonly #stopped = new AbortController();
  readonly #done: Promise<void>;
  #breaks = 0;

  constructor(face: StateFace, options: FollowerOptions) {
    this.#face = face;
    this.#options = options;
    this.#done = this.#follow();
    this.#done.catch(() => undefined); // told by stop()
  }

  /** How often it was torn away. */
  get breaks(): number {
    return this.#breaks;
  }

  /** Watches no longer; throws what ended the watch before that. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#done;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopped;
    const { random, every = 30, cut } = this.#options;
    let after = "0";
    while (!signal.aborted) {
      let left = 1 + random(every);
      for await (const change of this.#face.watch({ after, signal })) {
        this.seen.push(nameOf(change));
        after = change.cursor;
        left -= 1;
        if (left > 0) continue;
        this.#breaks += 1;
        if (cut === undefined) break;
        cut();
        left = 1 + random(every);
      }
    }
  }
}

/** What the log holds, in the words of a follower. */
export async function logOf(connectionString: string): Promise<string[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `select concat_ws(' ', o.scope, c.step, s.id, c.version) as name
         from agent_state.changes c join agent_state.scopes o on o.scope_no = c.scope_no
         join agent_state.states s on s.state_no = c.state_no
        order by o.scope, c.step, c.position`,
    );
    return rows.map(({ name }) => name);
  } finally {
    await client.end();
  }
}

/** The same changes, scope by scope, each scope's in the order in which they came. */
export function byScope(seen: readonly string[]): string[] {
  const scopes = new Map<string, string[]>();
  for (const name of seen) {
    const [scope = ""] = name.split(" ");
    const changes = scopes.get(scope);
    if (changes === undefined) scopes.set(scope, [name]);
    else changes.push(name);
  }
  const names = [...scopes.keys()].toSorted((left, right) => (left < right ? -1 : 1));
  return names.flatMap((scope) => scopes.get(scope)!);
}

function nameOf(change: Change): string {
  if (change.data === undefined && change.patch === undefined)
    throw new AgentRuntimeError("INTERNAL", `${change.id} came without its document`);
  return `${change.scope} ${change.step} ${change.id} ${change.version}`;
}
