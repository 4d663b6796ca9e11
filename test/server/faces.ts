import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { StateFace } from "../../src/state/face.ts";
import type { Change, State, Written } from "../../src/state/state.ts";
import { testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

/** A database on whichever home is here, the quickest first. */
export async function openSomeBench(): Promise<Bench> {
  return await openBench(testHomes().find(({ available }) => available === true)!);
}

/**
 * A face that does what the test says, for what a real one does only in trouble; anything else that
 * is asked of it fails.
 */
export function faceThat(does: Partial<StateFace>): StateFace {
  return new Proxy(does as StateFace, {
    get(face, name: keyof StateFace) {
      if (face[name] !== undefined) return face[name];
      return () => {
        throw new AgentRuntimeError("INTERNAL", `the test did not expect ${name}`);
      };
    },
  });
}

const AT = new Date("2030-01-31T12:00:00.000Z");
const DIGEST = "0".repeat(64);

/** What a write answers that nobody did. */
export function writtenLike(written: Partial<Written> = {}): Written {
  return {
    namespace: "default",
    id: "a",
    type: "shared",
    scope: "a",
    version: 1n,
    step: 1n,
    phase: null,
    digest: DIGEST,
    updatedAt: AT,
    created: true,
    replayed: false,
    ...written,
  };
}

/** A state that is nowhere. */
export function stateLike(state: Partial<State> = {}): State {
  const { created: _, replayed: __, ...written } = writtenLike();
  return { ...written, data: null, createdAt: AT, expiresAt: null, ...state };
}

/** A change that nobody made. */
export function changeLike(change: Partial<Change> = {}): Change {
  const { created: _, replayed: __, updatedAt: at, ...written } = writtenLike();
  return {
    ...written,
    cursor: "1",
    kind: "update",
    data: {},
    cause: null,
    actor: null,
    at,
    ...change,
  };
}

/** A promise, and what resolves it. */
export function deferred(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
