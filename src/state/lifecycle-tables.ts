/**
 * The tables of every lifecycle, each complete: a row for each phase the state is in, a column for
 * each phase it goes to, in the same order. A row or a cell that is missing does not compile.
 */

/** "=" stays (always legal), "c" any change may, "r" only a rollback or repair may, "-" nobody may. */
export type Cell = "=" | "c" | "r" | "-";

type Table<Phases extends readonly string[]> = Readonly<
  Record<Phases[number], { readonly [Column in keyof Phases]: Cell }>
>;

/**
 * What a task goes through. Out of `confused`, only a rollback or repair leads on with the work; these may move a state
 * between any two phases that are not terminal, here and below.
 */
export const taskPhases = [
  "submitted",
  "ready",
  "working",
  "suspended",
  "waiting",
  "input_required",
  "auth_required",
  "canceling",
  "confused",
  "completed",
  "failed",
  "canceled",
  "rejected",
] as const;

// prettier-ignore
export const taskTable: Table<typeof taskPhases> = {
  //                sub  rea  wor  sus  wai  inp  aut  clg  cfd  com  fai  can  rej
  submitted:      ["=", "c", "r", "r", "r", "r", "r", "r", "r", "-", "c", "c", "c"],
  ready:          ["r", "=", "c", "r", "r", "r", "r", "r", "r", "-", "c", "c", "c"],
  working:        ["r", "c", "=", "c", "c", "c", "c", "c", "c", "c", "c", "-", "c"],
  suspended:      ["r", "c", "r", "=", "r", "r", "r", "r", "c", "-", "c", "c", "-"],
  waiting:        ["r", "c", "r", "r", "=", "r", "r", "r", "c", "-", "c", "c", "-"],
  input_required: ["r", "c", "r", "r", "r", "=", "r", "r", "c", "-", "c", "c", "c"],
  auth_required:  ["r", "c", "r", "r", "r", "r", "=", "r", "c", "-", "c", "c", "c"],
  canceling:      ["r", "r", "r", "r", "r", "r", "r", "=", "c", "c", "c", "c", "-"],
  confused:       ["r", "r", "r", "r", "r", "r", "r", "r", "=", "-", "c", "c", "-"],
  completed:      ["-", "-", "-", "-", "-", "-", "-", "-", "-", "=", "-", "-", "-"],
  failed:         ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "=", "-", "-"],
  canceled:       ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "=", "-"],
  rejected:       ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "="],
};

/** What an agent goes through. A stopped one may be registered again, as a new incarnation. */
export const agentPhases = [
  "registered",
  "starting",
  "idle",
  "busy",
  "paused",
  "unreachable",
  "draining",
  "failed",
  "stopped",
] as const;

// prettier-ignore
export const agentTable: Table<typeof agentPhases> = {
  //             reg  sta  idl  bus  pau  unr  dra  fai  sto
  registered:  ["=", "c", "r", "r", "r", "r", "r", "r", "r"],
  starting:    ["r", "=", "c", "r", "r", "r", "r", "c", "r"],
  idle:        ["r", "r", "=", "c", "c", "c", "c", "r", "r"],
  busy:        ["r", "r", "c", "=", "c", "c", "c", "c", "r"],
  paused:      ["r", "r", "c", "r", "=", "r", "c", "r", "r"],
  unreachable: ["r", "r", "c", "r", "r", "=", "r", "c", "r"],
  draining:    ["r", "r", "r", "r", "r", "r", "=", "c", "c"],
  failed:      ["r", "c", "r", "r", "r", "r", "r", "=", "c"],
  stopped:     ["c", "r", "r", "r", "r", "r", "r", "r", "="],
};

/**
 * What is observed of an agent's pod or sandbox (type `lifecycle`). Facts decide: they get lost, so that phases may be
 * skipped, and they come late, so that an end may turn out to have been another. Out of an end only a new run leads back.
 */
export const sandboxPhases = [
  "requested",
  "pending",
  "creating",
  "running",
  "pausing",
  "paused",
  "resuming",
  "stopping",
  "stopped",
  "failed",
  "unknown",
  "deleted",
] as const;

// prettier-ignore
export const sandboxTable: Table<typeof sandboxPhases> = {
  //           req  pen  cre  run  psg  psd  res  stg  std  fai  unk  del
  requested: ["=", "c", "c", "c", "r", "c", "r", "c", "c", "c", "c", "c"],
  pending:   ["r", "=", "c", "c", "r", "c", "r", "c", "c", "c", "c", "c"],
  creating:  ["r", "r", "=", "c", "r", "c", "r", "c", "c", "c", "c", "c"],
  running:   ["r", "r", "c", "=", "c", "c", "r", "c", "c", "c", "c", "c"],
  pausing:   ["r", "r", "c", "c", "=", "c", "r", "c", "c", "c", "c", "c"],
  paused:    ["r", "r", "c", "c", "r", "=", "c", "c", "c", "c", "c", "c"],
  resuming:  ["r", "r", "c", "c", "r", "c", "=", "c", "c", "c", "c", "c"],
  stopping:  ["r", "r", "c", "c", "r", "c", "r", "=", "c", "c", "c", "c"],
  stopped:   ["r", "r", "c", "c", "r", "c", "r", "c", "=", "c", "c", "c"],
  failed:    ["r", "r", "c", "c", "r", "c", "r", "c", "c", "=", "c", "c"],
  unknown:   ["c", "c", "c", "c", "r", "c", "r", "c", "c", "c", "=", "c"],
  deleted:   ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "="],
};
