/**
 * The tables of every lifecycle, each complete: a row for each phase the state is in, a column for
 * each phase it goes to, in the same order. A row or a cell that is missing does not compile.
 */

/** "=" stays (always legal), "c" any change may, "r" only a rollback or repair may, "-" nobody may. */
export type Cell = "=" | "c" | "r" | "-";

type Table<Phases extends readonly string[]> = Readonly<
  Record<Phases[number], { readonly [Column in keyof Phases]: Cell }>
>;

/** What a task goes through. Out of `confused`, only a rollback or repair leads on with the work. */
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
  submitted:      ["=", "c", "-", "-", "-", "-", "-", "-", "-", "-", "c", "c", "c"],
  ready:          ["-", "=", "c", "-", "-", "-", "-", "-", "-", "-", "c", "c", "c"],
  working:        ["-", "c", "=", "c", "c", "c", "c", "c", "c", "c", "c", "-", "c"],
  suspended:      ["-", "c", "-", "=", "-", "-", "-", "-", "c", "-", "c", "c", "-"],
  waiting:        ["-", "c", "-", "-", "=", "-", "-", "-", "c", "-", "c", "c", "-"],
  input_required: ["-", "c", "-", "-", "-", "=", "-", "-", "c", "-", "c", "c", "c"],
  auth_required:  ["-", "c", "-", "-", "-", "-", "=", "-", "c", "-", "c", "c", "c"],
  canceling:      ["-", "-", "-", "-", "-", "-", "-", "=", "c", "c", "c", "c", "-"],
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
  registered:  ["=", "c", "-", "-", "-", "-", "-", "-", "-"],
  starting:    ["-", "=", "c", "-", "-", "-", "-", "c", "-"],
  idle:        ["-", "-", "=", "c", "c", "c", "c", "-", "-"],
  busy:        ["-", "-", "c", "=", "c", "c", "c", "c", "-"],
  paused:      ["-", "-", "c", "-", "=", "-", "c", "-", "-"],
  unreachable: ["-", "-", "c", "-", "-", "=", "-", "c", "-"],
  draining:    ["-", "-", "-", "-", "-", "-", "=", "c", "c"],
  failed:      ["-", "c", "-", "-", "-", "-", "-", "=", "c"],
  stopped:     ["c", "-", "-", "-", "-", "-", "-", "-", "="],
};

/** What is observed of an agent's pod or sandbox (type `lifecycle`). Facts decide, so any may fail or get lost. */
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
  requested: ["=", "c", "-", "-", "-", "-", "-", "-", "-", "c", "c", "-"],
  pending:   ["-", "=", "c", "-", "-", "-", "-", "-", "-", "c", "c", "-"],
  creating:  ["-", "-", "=", "c", "-", "-", "-", "-", "-", "c", "c", "-"],
  running:   ["-", "-", "-", "=", "c", "-", "-", "c", "-", "c", "c", "-"],
  pausing:   ["-", "-", "-", "-", "=", "c", "-", "-", "-", "c", "c", "-"],
  paused:    ["-", "-", "-", "-", "-", "=", "c", "c", "-", "c", "c", "-"],
  resuming:  ["-", "-", "-", "c", "-", "-", "=", "-", "-", "c", "c", "-"],
  stopping:  ["-", "-", "-", "-", "-", "-", "-", "=", "c", "c", "c", "-"],
  stopped:   ["-", "-", "-", "-", "-", "-", "-", "-", "=", "c", "c", "c"],
  failed:    ["-", "-", "-", "-", "-", "-", "-", "-", "-", "=", "c", "c"],
  unknown:   ["-", "-", "-", "c", "-", "-", "-", "-", "-", "c", "=", "c"],
  deleted:   ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "="],
};
