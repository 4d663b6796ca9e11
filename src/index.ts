/**
 * The state of AI agents: versioned, durable, reversible, on PostgreSQL.
 *
 * @example
 * const manager = await StateManager.open({ dataDir: ".agent_runtime" });
 * await manager.updateState("agent-1", "agent", { goal: "book a flight" });
 * const { data, version } = await manager.getState("agent-1");
 * await manager.close();
 */
import type { StateConsumer as Consumer } from "./consumer/state-consumer.ts";
import { openStateConsumer, openStateManager } from "./runtime.ts";
import type { StateManager as Manager } from "./manager/state-manager.ts";

/** Opens state managers; with no settings, on a PostgreSQL of its own below the working directory. */
export const StateManager = { open: openStateManager } as const;

export type StateManager = Manager;

/** Opens consumers of the changes that services send over a message bus. */
export const StateConsumer = { open: openStateConsumer } as const;

export type StateConsumer = Consumer;

export type { ReceivedChange } from "./consumer/read-received.ts";
export type {
  ChangeContext,
  ChangeSource,
  MissedVersions,
  StateConsumerFigures,
} from "./consumer/state-consumer.ts";
export type { OpenConsumerOptions } from "./runtime/state-consumer.ts";
export type { RolledBack, StateTakenBack } from "./state/rolled-back-event.ts";
export { startRuntime } from "./runtime.ts";
export type { Runtime, Settings } from "./runtime.ts";
export { HttpStateClient } from "./client/http-client.ts";
export { AgentRuntimeError, ERROR_STATUS } from "./state/errors.ts";
export type { ErrorCode, ErrorFacts } from "./state/errors.ts";
export type { BatchOutcome, StateFace } from "./state/face.ts";
export { ChildFailed, RunInterrupted } from "./processor/interruption.ts";
export type { InterruptionReason } from "./processor/interruption.ts";
export type { LifoTaskProcessor, TaskHandler } from "./processor/lifo-task-processor.ts";
export type { ProcessorOptions } from "./processor/options.ts";
export type { ChildRequest, EffectContext, EffectOptions, Run } from "./processor/run.ts";
export type {
  CheckName,
  CheckStatus,
  Finding,
  FindingKind,
  Findings,
  FindingsOptions,
  FsckOptions,
  FsckReport,
  FsckRun,
} from "./state/fsck.ts";
export type { FactSink } from "./state/fact-sink.ts";
export type { Json, JsonObject } from "./state/json.ts";
export { fromA2a, fromMcp, standingOf, toA2a, toMcp } from "./state/protocol-tasks.ts";
export type {
  A2aTask,
  A2aTaskState,
  McpTask,
  McpTaskStatus,
  TaskPhase,
  TaskStanding,
} from "./state/protocol-tasks.ts";
export type { Desired, Fact, FactSource, LifecycleFact } from "./state/lifecycle-fact.ts";
export type {
  AppendRequest,
  CallOptions,
  ChangeRequest,
  Changeset,
  Consistency,
  DeleteRequest,
  Diff,
  DiffOptions,
  HistoryOptions,
  ListOptions,
  MergeRequest,
  PatchRequest,
  ReadOptions,
  UpdateRequest,
  WatchOptions,
  WriteOptions,
} from "./state/request.ts";
export type {
  Change,
  ChangeKind,
  Committed,
  HistoryEntry,
  Page,
  PastRollback,
  PatchOperation,
  ScopeStatus,
  State,
  StateSummary,
  Step,
  Version,
  Written,
} from "./state/state.ts";
export type {
  HoldOptions,
  Rollback,
  RollbackOptions,
  RollbackSource,
  RollbackEffect,
  RollbackState,
} from "./state/rollback.ts";
export type {
  ClaimRequest,
  CompleteReport,
  EffectReport,
  EffectState,
  FailReport,
  HolderReport,
  PushRequest,
  Reported,
  TaskAnswer,
  TaskFace,
  TaskOrder,
  WaitReport,
  WorkerBeat,
  WorkerName,
} from "./state/task-face.ts";
export type {
  Effect,
  Epoch,
  Preempt,
  RetryPolicy,
  Task,
  TaskDetails,
  TaskResult,
  Wait,
} from "./state/task.ts";
