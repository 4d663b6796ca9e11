import type { FsckStore } from "../state/fsck-ports.ts";
import type { Caller } from "./caller.ts";
import {
  checkStates,
  checkThese,
  newestStates,
  readStrays,
  scopeStateNumbers,
  settleStrays,
  suspectTasks,
} from "./sql/check-states.ts";
import {
  checkFeed,
  digestsAt,
  digestsOf,
  scopeHeads,
  scopeVersions,
  scopesAfter,
  stateDigests,
} from "./sql/compare-copies.ts";
import {
  countFindings,
  listFindings,
  quarantineStep,
  recordFindings,
  releaseChecked,
  resolveFindings,
} from "./sql/findings.ts";
import { missingVersions, repairRow, repairTask, restoreChange } from "./sql/repair.ts";

/** What the detector asks of main, over any transport. */
export function fsckStoreOver(caller: Caller): FsckStore {
  return {
    checkStates: (after, limit) => checkStates(caller, after, limit),
    checkThese: (stateNos) => checkThese(caller, stateNos),
    scopeStates: (scope, after, limit) => scopeStateNumbers(caller, scope, { after, limit }),
    strays: (after, limit) => readStrays(caller, after, limit),
    newest: (limit) => newestStates(caller, limit),
    suspectTasks: (limit) => suspectTasks(caller, limit),
    settleStrays: (nos) => settleStrays(caller, nos),
    digests: (after, limit) => stateDigests(caller, after, limit),
    digestsOf: (stateNos) => digestsOf(caller, stateNos),
    digestsAt: (of) => digestsAt(caller, of),
    scopeHeads: (scopes) => scopeHeads(caller, scopes),
    scopeVersions: (scope, step) => scopeVersions(caller, scope, step),
    scopesAfter: (after, limit) => scopesAfter(caller, after, limit),
    checkFeed: (at) => checkFeed(caller, at),
    record: (faults) => recordFindings(caller, faults),
    findings: (page) => listFindings(caller, page),
    countFindings: () => countFindings(caller),
    resolve: (nos, resolution) => resolveFindings(caller, nos, resolution),
    release: (scope, holding) => releaseChecked(caller, scope, holding),
    quarantine: (scope, step, reason) => quarantineStep(caller, scope, { step, reason }),
    missingVersions: (key, limit) => missingVersions(caller, key, limit),
    repairRow: (key, witness, isDry) => repairRow(caller, key, { witness, isDry }),
    repairTask: (key, check, isDry) => repairTask(caller, key, { check, isDry }),
    restoreChange: (key, copy, isDry) => restoreChange(caller, key, { copy, isDry }),
  };
}
