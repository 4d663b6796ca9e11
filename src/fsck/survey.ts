import type { Fault, FsckStore } from "../state/fsck-ports.ts";
import type { ScopeKey } from "../state/ports.ts";
import { MAIN_CHECKS } from "./checks.ts";
import { compare, compareMemory } from "./copies.ts";
import type { Copies } from "./copies.ts";
import { compareFollower, compareScope } from "./rollback-copies.ts";
import { NO_REPLICA, NO_ROLLBACK, Scrub } from "./scrub.ts";
import type { Scrubbed } from "./scrub.ts";
import type { Statuses } from "./statuses.ts";

const PAGE = 2_000;
const SCOPE_PAGE = 500;

/** What a survey stands on. */
export interface SurveyParts {
  readonly store: FsckStore;
  readonly copies: Copies;
  /** Milliseconds that a follower may be behind. */
  readonly boundMs: number;
  readonly statuses: Statuses;
}

interface SurveyOptions extends SurveyParts {
  readonly signal?: AbortSignal | undefined;
}

/** Everything that there is, once; `onPage` is told of each part. */
export async function surveyAll(
  options: SurveyOptions,
  onPage: (page: Scrubbed) => Promise<void>,
): Promise<void> {
  const { store, copies, boundMs, statuses, signal } = options;
  const scrub = new Scrub(store, copies, boundMs);
  const alone = (faults: Fault[]): Promise<void> => onPage({ checked: 0, faults });
  while (!scrub.isThrough("main") && statuses.mayRun(MAIN_CHECKS)) {
    signal?.throwIfAborted();
    await onPage(await scrub.nextOfMain(PAGE, statuses));
  }
  while (!scrub.isThrough("replica") && statuses.mayRun(["C5"])) {
    signal?.throwIfAborted();
    await alone(await scrub.nextOfReplica(PAGE, statuses));
  }
  while (!scrub.isThrough("rollback") && statuses.mayRun(["C6"])) {
    signal?.throwIfAborted();
    await alone(await scrub.nextOfRollback(SCOPE_PAGE, statuses));
  }
  await alone(await scrub.rest(Number.POSITIVE_INFINITY, statuses));
}

/** One scope, once. */
export async function surveyScope(options: SurveyOptions, scope: ScopeKey): Promise<Scrubbed> {
  const { store, copies, statuses } = options;
  const faults: Fault[] = [];
  let checked = 0;
  let after = 0n;
  for (;;) {
    options.signal?.throwIfAborted();
    const numbers = await store.scopeStates(scope, after, SCOPE_PAGE);
    checked += numbers.length;
    faults.push(...(await statuses.run(MAIN_CHECKS, () => store.checkThese(numbers))));
    faults.push(...(await surveyReplica(options, numbers)));
    if (numbers.length < SCOPE_PAGE) break;
    after = numbers.at(-1)!;
  }
  const memory = await statuses.run(["C7"], () =>
    compareMemory(store, copies.memory, { limit: Number.POSITIVE_INFINITY, scope }),
  );
  const rollback = await surveyRollback(options, scope);
  return { checked, faults: [...faults, ...memory, ...rollback] };
}

async function surveyReplica(
  { store, copies, statuses }: SurveyOptions,
  numbers: readonly bigint[],
): Promise<Fault[]> {
  const { replica } = copies;
  if (replica === null) {
    statuses.missed(["C5"], NO_REPLICA);
    return [];
  }
  return statuses.run(["C5"], async () => {
    return compare(store, "C5", await replica.digestsOf(numbers));
  });
}

async function surveyRollback(
  { store, copies, statuses, boundMs }: SurveyOptions,
  scope: ScopeKey,
): Promise<Fault[]> {
  const { rollback } = copies;
  if (rollback === null) {
    statuses.missed(["C6", "C15"], NO_ROLLBACK);
    return [];
  }
  const look = { store, rollback, boundMs };
  const copy = await statuses.run(["C6"], () => compareScope(look, scope));
  const follower = await statuses.run(["C15"], () => compareFollower(look));
  return [...copy, ...follower];
}
