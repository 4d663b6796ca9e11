import type { StateFace } from "../../src/state/face.ts";
import type { ChangeRequest } from "../../src/state/request.ts";
import type { Ledger } from "../fault/ledger.ts";
import { until } from "../support/until.ts";

/** So long a call may take at a service that stands still; then the other one is asked. */
const CALL_MS = 5_000;
/** Every so many updates, the state is read where it was not written. */
const READ_EVERY = 4;

export interface UpdatesOptions {
  readonly ledger: Ledger;
  readonly faces: readonly [StateFace, StateFace];
  readonly writers: number;
  readonly updates: number;
  readonly scopes: number;
  readonly random: (below: number) => number;
  /** How many updates may have been made by now. */
  readonly mayMake: () => number;
}

/** What a writer knows of a scope that is its own. */
interface OwnScope {
  readonly scope: string;
  made: number;
  hasSecond: boolean;
}

/** Makes updates of many scopes, each until it is acknowledged; those of one scope one after the other. */
export async function makeUpdates(options: UpdatesOptions): Promise<void> {
  const { writers, updates } = options;
  let left = updates;
  const write = async (writer: number): Promise<void> => {
    const scopes = ownScopes(writer, options);
    while (left-- > 0) {
      await until(() => updates - left <= options.mayMake(), { timeoutMs: 300_000 });
      await update(scopes[options.random(scopes.length)]!, options);
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
}

function ownScopes(writer: number, { scopes, writers }: UpdatesOptions): OwnScope[] {
  return Array.from({ length: Math.ceil(scopes / writers) }, (_, index) => ({
    scope: `scope-${writer + index * writers}`,
    made: 0,
    hasSecond: false,
  }));
}

async function update(own: OwnScope, options: UpdatesOptions): Promise<void> {
  const { ledger, faces, random } = options;
  const { scope } = own;
  const changes = changesOf(own, random(10));
  own.made += 1;
  const inTurn = random(2) === 0 ? faces : faces.toReversed();
  const idempotencyKey = `${scope} ${own.made}`;
  const changeset = { scope, changes, idempotencyKey };
  const told = await ledger.insist(inTurn, changeset, { timeoutMs: CALL_MS });
  if (own.made % READ_EVERY !== 0 || changes[0]!.op === "delete") return;
  const { id, version } = told.changes[0]!;
  await ledger.read(async () => {
    const read = await inTurn[1].getState(id, { minVersion: version, timeoutMs: CALL_MS });
    if (read.version < version) throw new Error(`${id}: ${read.version} read below ${version}`);
  });
}

/** Mostly one state is written whole or merged into; now and then two at once, or one is deleted. */
function changesOf(own: OwnScope, kind: number): ChangeRequest[] {
  const { scope, made } = own;
  const [first, second] = [`${scope}-first`, `${scope}-second`];
  const write = (id: string): ChangeRequest => {
    const data = {
      turn: made,
      said: `what came in turn ${made}`,
      notes: { [`n${made % 5}`]: made },
    };
    return { op: "update", id, type: "note", data };
  };
  if (made === 0 || kind > 4) return [write(first)];
  if (kind === 0) {
    own.hasSecond = true;
    return [write(first), write(second)];
  }
  if (kind === 1 && own.hasSecond) {
    own.hasSecond = false;
    return [{ op: "delete", id: second }];
  }
  return [{ op: "merge", id: first, patch: { turn: made, notes: { [`n${made % 7}`]: null } } }];
}
