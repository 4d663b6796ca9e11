import type { CheckName, Finding } from "../state/fsck.ts";
import type { Fault, FsckStore, RecordedFault } from "../state/fsck-ports.ts";
import type { ScopeKey } from "../state/ports.ts";
import type { Logger } from "../service/log-port.ts";
import { CHECKS } from "./checks.ts";

/** Faults that one call enters. */
const PAGE = 500;

/** The checks whose findings put a scope on hold. */
export const HOLDING = (Object.keys(CHECKS) as CheckName[]).filter((check) => CHECKS[check].holds);

/** The checks whose findings keep the detector's hold: a copy may contradict main. */
export const KEEPING: readonly CheckName[] = [...HOLDING, "C6"];

/** Enters faults into the books, with their evidence, before anything is done about them; their numbers. */
export async function enter(
  store: FsckStore,
  faults: readonly Fault[],
  log: Logger,
): Promise<bigint[]> {
  const numbers: bigint[] = [];
  for (let from = 0; from < faults.length; from += PAGE) {
    const page = faults.slice(from, from + PAGE);
    const entries = await store.record(page.map(recorded));
    page.forEach((fault, index) => {
      const entry = entries[index] ?? null;
      if (entry !== null) numbers.push(entry.no);
      if (entry?.isNew !== false) tell(log, fault, entry?.no);
    });
  }
  return numbers;
}

function recorded(fault: Fault): RecordedFault {
  const { kind, remedy, holds } = CHECKS[fault.check];
  return { ...fault, kind, remedy, hold: fault.hold ?? holds };
}

function tell(log: Logger, fault: Fault, no: bigint | undefined): void {
  const { check, namespace, scope, id, version, step, detail } = fault;
  const where = { namespace, scope, id, version: version?.toString(), step: step?.toString() };
  const finding = no?.toString() ?? "not entered: too many are open";
  log.error({ check, finding, ...where, detail }, "state is confused");
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
