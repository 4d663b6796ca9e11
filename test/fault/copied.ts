import type { RollbackStore } from "../../src/state/rollback-port.ts";
import type { Ledger } from "./ledger.ts";

/** A scope at one of its steps: the documents by the ids of their states, and the step. */
export interface Held {
  readonly step: bigint;
  readonly states: Readonly<Record<string, unknown>>;
}

/** What each scope held one step before its newest, by what callers were told; all of them must have been told. */
export function heldBefore(ledger: Ledger): Map<string, Held> {
  const steps = new Map<string, Map<bigint, Record<string, unknown>>>();
  for (const { changeset, committed } of ledger.attempts) {
    const scope = changeset.scope!;
    const [first] = committed!.changes;
    const written = changeset.changes.map((change): [string, unknown] => [
      change.id,
      "data" in change ? change.data : undefined,
    ]);
    if (!steps.has(scope)) steps.set(scope, new Map());
    steps.get(scope)!.set(first!.step, Object.fromEntries<unknown>(written));
  }
  return new Map(
    [...steps].map(([scope, written]) => {
      const step = BigInt(written.size) - 1n;
      const states: Record<string, unknown> = {};
      for (let each = 1n; each <= step; each++) Object.assign(states, written.get(each));
      return [scope, { step, states }];
    }),
  );
}

/** What the rollback database serves of these scopes. */
export async function copiesOf(
  copies: RollbackStore,
  scopes: readonly string[],
): Promise<Map<string, Held>> {
  const held = new Map<string, Held>();
  for (const scope of scopes) {
    const copy = await copies.readCopy("default", scope);
    if (copy === null || copy.broken !== null) continue;
    const proven = copy.states.filter(({ verified }) => verified);
    const states = Object.fromEntries(
      proven.map(({ id, text }): [string, unknown] => [id, JSON.parse(text)]),
    );
    held.set(scope, { step: copy.promotedStep, states });
  }
  return held;
}
