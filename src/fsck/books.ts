import type { CheckName, Finding } from "../state/fsck.ts";
import type { Fault, FsckStore, ScopeKey } from "../state/fsck-ports.ts";
import type { Logger } from "../service/log-port.ts";
import { CHECKS } from "./checks.ts";

/** Faults that one round enters; those beyond are found again once these are settled. */
const FAULTS_LIMIT = 500;

/** The checks whose findings keep a scope on hold. */
export const HOLDING = (Object.keys(CHECKS) as CheckName[]).filter((check) => CHECKS[check].holds);

/** Enters faults into the books, with their evidence, before anything is done about them. */
export async function enter(
  store: FsckStore,
  faults: readonly Fault[],
  log: Logger,
): Promise<bigint[]> {
  if (faults.length === 0) return [];
  const entered = faults.slice(0, FAULTS_LIMIT).map((fault) => {
    const { kind, remedy, holds } = CHECKS[fault.check];
    return { ...fault, kind, remedy, hold: holds };
  });
  const numbers = await store.record(entered);
  for (const [index, { isNew, no }] of numbers.entries()) {
    const fault = entered[index];
    if (!isNew || fault === undefined) continue;
    const { check, namespace, scope, id, version, step, detail } = fault;
    const where = { namespace, scope, id, version: version?.toString(), step: step?.toString() };
    log.error({ check, finding: no.toString(), ...where, detail }, "state is confused");
  }
  return numbers.map(({ no }) => no);
}

/** Every open finding of one scope, or of all; a bounded number. */
export async function openFindings(
  store: FsckStore,
  of: Partial<ScopeKey>,
  limit: number,
): Promise<Finding[]> {
  return store.findings({
    namespace: of.namespace ?? null,
    scope: of.scope ?? null,
    open: true,
    before: null,
    limit,
  });
}
