import type { CheckName, FindingKind } from "../state/fsck.ts";

/** What is known of a check beside how to run it. */
export interface CheckInfo {
  readonly kind: FindingKind;
  readonly looksFor: string;
  /** What is done about it. */
  readonly remedy: string;
  /** Whether the first suspicion puts the scope on hold. */
  readonly holds: boolean;
}

/** All checks; docs/fsck.md says the same at more length. */
export const CHECKS: Readonly<Record<CheckName, CheckInfo>> = {
  C1: {
    kind: "illegal",
    looksFor: "a phase that moved along no row of its lifecycle",
    remedy: "roll the scope back, or release its hold where the move was meant",
    holds: true,
  },
  C2: {
    kind: "illegal",
    looksFor: "a version or step that is missing, or lies in another scope",
    remedy: "put the change back from a copy that the digests prove, else quarantine its step",
    holds: true,
  },
  C3: {
    kind: "divergent",
    looksFor: "the row of a state that is not what its history makes it",
    remedy: "make the row what the history makes it",
    holds: true,
  },
  C4: {
    kind: "divergent",
    looksFor: "a digest that does not follow",
    remedy: "put the change back from a copy that the digests prove, else quarantine its step",
    holds: true,
  },
  C5: {
    kind: "divergent",
    looksFor: "a replica that holds what main never did",
    remedy: "take the replica out of the reads",
    holds: false,
  },
  C6: {
    kind: "divergent",
    looksFor: "a rollback copy that is ahead, behind, in quarantine, or not what main committed",
    remedy: "make the copy of the scope anew",
    holds: false,
  },
  C7: {
    kind: "divergent",
    looksFor: "a state in memory that main does not hold so",
    remedy: "drop it from memory",
    holds: false,
  },
  C8: {
    kind: "unlive",
    looksFor: "a task that is worked on, and nobody has a lease for it",
    remedy: "give the task back, fenced",
    holds: false,
  },
  C9: {
    kind: "unlive",
    looksFor: "a task whose epoch is behind one that was given out",
    remedy: "raise its epoch above all that were given out, and give it back",
    holds: false,
  },
  C10: {
    kind: "unlive",
    looksFor: "a stack in which two are held, or whose next task is told to nobody",
    remedy: "make the scheduling what the states of the tasks say",
    holds: false,
  },
  C11: {
    kind: "unlive",
    looksFor: "a parent that waits for children that ended, or was not told of one",
    remedy: "tell the parent, and wake it",
    holds: false,
  },
  C12: {
    kind: "unlive",
    looksFor: "an effect of which nobody will say whether it came to anything",
    remedy: "find out whether it came to anything; if need be, push the task anew",
    holds: false,
  },
  C14: {
    kind: "illegal",
    looksFor: "a phase after a terminal one",
    remedy: "quarantine the step, then roll the scope back",
    holds: true,
  },
  C15: {
    kind: "divergent",
    looksFor: "a follower that is behind beyond its bound, ahead, or in another history",
    remedy: "see to the follower: it goes on, or starts anew, by itself once it can",
    holds: false,
  },
  C16: {
    kind: "unlive",
    looksFor: "an agent whose pod is gone, or a sandbox whose pod is gone",
    remedy: "move the agent to failed or stopped; stop the sandbox on its node",
    holds: false,
  },
  C17: {
    kind: "sterile",
    looksFor: "a task that is claimed over and over, and nothing comes of it",
    remedy: "see why its workers give it up; cancel it, or let it run again",
    holds: false,
  },
  C20: {
    kind: "illegal",
    looksFor: "a document that cannot be put together",
    remedy: "quarantine the step, then roll the scope back",
    holds: true,
  },
};

/** Why a replica is not read. */
export const DIFFERS = "it holds what main never did: see what fsck found by C5";

/** The checks of main alone: one statement makes them all. */
export const MAIN_CHECKS = [
  "C1",
  "C2",
  "C3",
  "C4",
  "C8",
  "C9",
  "C10",
  "C11",
  "C12",
  "C14",
  "C16",
  "C17",
  "C20",
] as const satisfies CheckName[];
