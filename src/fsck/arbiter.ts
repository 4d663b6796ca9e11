import type { Finding } from "../state/fsck.ts";
import type { FsckStore, RollbackCopy } from "../state/fsck-ports.ts";
import type { ScopeKey, StateKey } from "../state/ports.ts";
import type { Version } from "../state/state.ts";
import { DIFFERS } from "./checks.ts";
import type { Copies } from "./copies.ts";
import { contradictsMain } from "./rollback-copies.ts";

/** What can be done about a finding, and whether that is proven. */
export interface Verdict {
  readonly remedy: string;
  /** False: nobody does it by himself. */
  readonly safe: boolean;
}

/** Versions that are put back in one go. */
const VERSIONS_LIMIT = 1_000;

/**
 * Decides what to do about findings, and does it. The chain of digests arbitrates, copies vote; where
 * neither proves what was committed, the step goes into quarantine and a person decides.
 */
export class Arbiter {
  readonly #store: FsckStore;
  readonly #copies: Copies;
  readonly #boundMs: number;

  /** @param boundMs how far behind the rollback database may be. */
  constructor(store: FsckStore, copies: Copies, boundMs: number) {
    this.#store = store;
    this.#copies = copies;
    this.#boundMs = boundMs;
  }

  /** What `settle` would do, as far as it can be told before the findings of lower versions are settled. */
  judge(finding: Finding): Promise<Verdict> {
    return this.#decide(finding, true);
  }

  /** Does what is proven; else what keeps the damage where it is. */
  settle(finding: Finding): Promise<Verdict> {
    return this.#decide(finding, false);
  }

  async #decide(finding: Finding, isDry: boolean): Promise<Verdict> {
    const key = keyOf(finding);
    switch (finding.check) {
      case "C2":
      case "C4":
        return key === null ? this.#quarantine(finding, isDry) : this.#restore(finding, key, isDry);
      case "C3":
        return key === null ? this.#quarantine(finding, isDry) : this.#fold(finding, key, isDry);
      case "C5":
        if (!isDry) this.#copies.replica?.distrust(DIFFERS);
        return { remedy: "take the replica out of the reads", safe: this.#copies.replica !== null };
      case "C6":
        return this.#rebuild(finding, isDry);
      case "C7":
        if (!isDry && key !== null) this.#copies.memory.forget(key);
        return { remedy: "drop it from memory", safe: true };
      case "C8":
      case "C9":
      case "C10":
      case "C11":
        return this.#repairTask(finding, key, isDry);
      case "C12":
      case "C15":
      case "C16":
      case "C17":
        return { remedy: finding.remedy, safe: false };
      case "C1":
      case "C14":
      case "C20":
        break;
    }
    return this.#quarantine(finding, isDry);
  }

  /** Scheduling is made anew from what the states of the tasks say. */
  async #repairTask(finding: Finding, key: StateKey | null, isDry: boolean): Promise<Verdict> {
    const { check, remedy } = finding;
    const refusal =
      key === null ? "it has no state" : await this.#store.repairTask(key, check, isDry);
    if (refusal !== null) return { remedy: `${remedy} (${refusal})`, safe: false };
    if (!isDry && key !== null) this.#copies.memory.forget(key);
    return { remedy, safe: true };
  }

  async #fold(finding: Finding, key: StateKey, isDry: boolean): Promise<Verdict> {
    const witness = await this.#witness(finding, key);
    const refusal = await this.#store.repairRow(key, witness, isDry);
    if (refusal !== null) return this.#quarantine(finding, isDry, refusal);
    if (!isDry) this.#copies.memory.forget(key);
    return { remedy: `make the row what version ${finding.version} makes it`, safe: true };
  }

  /** The digest of the state's newest change in the rollback database. */
  async #witness({ namespace, scope, version }: Finding, key: StateKey): Promise<string | null> {
    const { rollback } = this.#copies;
    if (rollback === null || namespace === null || scope === null) return null;
    const digests = await rollback.digests({ namespace, scope });
    const copied = digests.find((copy) => copy.id === key.id && copy.version === version);
    return copied?.verified === true ? copied.digest : null;
  }

  async #restore(finding: Finding, key: StateKey, isDry: boolean): Promise<Verdict> {
    const versions =
      finding.check === "C4"
        ? [finding.version!]
        : await this.#store.missingVersions(key, VERSIONS_LIMIT);
    if (versions.length === 0) {
      return this.#quarantine(finding, isDry, "no version of it is missing");
    }
    for (const version of versions) {
      const refusal = await this.#restoreOne({ ...key, version }, isDry);
      if (refusal !== null) return this.#quarantine(finding, isDry, refusal);
      // Each proves the next: before it is back, the next one's proof cannot be tried.
      if (isDry) break;
    }
    if (!isDry) this.#copies.memory.forget(key);
    return {
      remedy: `put back version ${versions.join(", ")} as the digests prove it`,
      safe: true,
    };
  }

  /** Null where it is back, or why not. */
  async #restoreOne(
    of: StateKey & { readonly version: Version },
    isDry: boolean,
  ): Promise<string | null> {
    const own = await this.#store.restoreChange(of, null, isDry);
    if (own === null || this.#copies.rollback === null) return own;
    const copy = await this.#copies.rollback.change(of);
    return copy === null ? own : this.#store.restoreChange(of, copy, isDry);
  }

  /**
   * Who released the scope, with the finding in sight, has decided for main. Where main has no such scope, nobody could
   * hold or release it, and the copy may be all that is left.
   */
  async #rebuild(finding: Finding, isDry: boolean): Promise<Verdict> {
    const { namespace, scope } = finding;
    const { rollback } = this.#copies;
    const remedy = "make the copy of the scope anew";
    if (rollback === null || namespace === null || scope === null) return { remedy, safe: false };
    const [head] = await this.#store.scopeHeads([{ namespace, scope }]);
    const isLost = head!.step === null;
    if ((isLost || head!.hold) && (await this.#contradicts(rollback, { namespace, scope }))) {
      if (isLost) return { remedy: "keep the copy: it is all that is left of it", safe: false };
      return this.#quarantine(finding, isDry, "the copy proves it, and so may main: none outvotes");
    }
    if (!isDry) await rollback.discard({ namespace, scope }, finding.detail);
    return { remedy, safe: true };
  }

  #contradicts(rollback: RollbackCopy, scope: ScopeKey): Promise<boolean> {
    return contradictsMain({ store: this.#store, rollback, boundMs: this.#boundMs }, scope);
  }

  async #quarantine(finding: Finding, isDry: boolean, why?: string): Promise<Verdict> {
    const { namespace, scope, step, detail, check } = finding;
    const because = why === undefined ? "" : ` (${why})`;
    if (step === null || namespace === null || scope === null) {
      return { remedy: `leave it on hold${because}`, safe: false };
    }
    if (!isDry) {
      await this.#store.quarantine({ namespace, scope }, step, `${check}: ${detail}`);
    }
    return {
      remedy: `keep step ${step} in quarantine and the scope on hold${because}; then roll the scope back`,
      safe: false,
    };
  }
}

function keyOf({ namespace, id }: Finding): StateKey | null {
  return namespace === null || id === null ? null : { namespace, id };
}
