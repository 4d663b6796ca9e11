import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../service/clock.ts";
import { withDeadline } from "../service/deadline.ts";
import { onAbort } from "../service/on-abort.ts";
import type { Bell } from "../state/bell.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { wholeNumber } from "../state/fields.ts";
import { checkId, checkNamespace, checkScope } from "../state/identifiers.ts";
import type { DataLimits } from "../state/json-check.ts";
import type { CallOptions } from "../state/request.ts";
import type {
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
} from "../state/task-face.ts";
import type {
  ClaimOrder,
  EndedWorker,
  PreparedPush,
  PushAnswer,
  ReportAnswer,
  ReportKind,
  TaskStore,
} from "../state/task-port.ts";
import type { Task, TaskDetails } from "../state/task.ts";
import { Calls } from "./calls.ts";
import {
  checkEpoch,
  checkName,
  failBody,
  msOrNull,
  prepareAnswer,
  prepareClaim,
  preparePush,
  prepareReport,
  prepareWhy,
  valueOf,
  waitBody,
} from "./prepare.ts";
import { taskRefusal } from "./refusal.ts";
import { DEFAULT_TASK_SETTINGS } from "./task-settings.ts";
import type { TaskSettings } from "./task-settings.ts";
import { Wakeups } from "./wakeups.ts";

export interface TaskManagerOptions {
  readonly store: TaskStore;
  readonly limits: DataLimits & { readonly pageItems: number };
  /** Unsaid: the defaults of the configuration. */
  readonly settings?: Partial<TaskSettings>;
  /** Wakes claims that wait in other processes; unsaid: they look every `pollMs`. */
  readonly bell?: Bell | null;
  /** How often a claim that waits looks whether another process pushed; default 200. */
  readonly pollMs?: number;
  /** Told that something may be due soon that no sweep knows of. */
  readonly onDue?: () => void;
  /** Told which tasks were written, so that nothing older of them is read from memory. */
  readonly onWritten?: (namespace: string, ids: readonly string[]) => void;
}

/** The tasks of one database: what is asked is checked, gathered and sent; what is refused is thrown. */
export class TaskManager implements TaskFace {
  readonly #options: TaskManagerOptions;
  readonly #store: TaskStore;
  readonly #settings: TaskSettings;
  readonly #calls: Calls;
  readonly #wakeups = new Wakeups();

  constructor(options: TaskManagerOptions) {
    const { store, limits } = options;
    this.#options = options;
    this.#store = store;
    this.#settings = { ...DEFAULT_TASK_SETTINGS, ...options.settings };
    const { maxDepth } = this.#settings;
    this.#calls = new Calls(store, { maxDepth, dataBytes: limits.dataBytes });
  }

  /** How often `sweep` is to be called. */
  get sweepMs(): number {
    return this.#settings.sweepMs;
  }

  async push(stack: string, request: PushRequest = {}): Promise<Task> {
    const namespace = namespaceOf(request);
    const push = preparePush(stack, request, {
      limits: this.#options.limits,
      retry: this.#settings,
    });
    const actor = prepareWhy(request).actor;
    const answer = await within("The push", request, () =>
      this.#calls.push({ namespace, push, actor }),
    );
    if (answer.code === "REPLAYED") return await this.get(answer.id, request);
    if (answer.code !== null) throw taskRefusal(answer.code, push.id, answer);
    this.#written(namespace, [push.id]);
    if (answer.runAt !== null || push.deadline !== null) this.#options.onDue?.();
    return pushedTask(namespace, push, answer);
  }

  async claim(request: ClaimRequest): Promise<Task[]> {
    const namespace = namespaceOf(request);
    const order = prepareClaim(request, this.#settings.leaseMs);
    const waitMs = msOrNull(request.waitMs, "waitMs") ?? 0;
    const endAt = systemClock.monotonicMs() + waitMs;
    for (;;) {
      const woken = this.#wakeups.next();
      // Not given up half-way: what was claimed by then would be nobody's until its lease ends.
      const tasks = await this.#calls.claim({ namespace, order });
      const leftMs = endAt - systemClock.monotonicMs();
      const ids = tasks.map(({ id }) => id);
      if (ids.length > 0) this.#options.onWritten?.(namespace, ids);
      if (ids.length > 0 || leftMs <= 0 || isAborted(request)) return tasks;
      this.#options.bell?.listen(() => this.#wakeups.wake());
      const ms = Math.min(leftMs, this.#options.pollMs ?? 200);
      await this.#rest(woken, { ms, ...signalOf(request) });
      if (isAborted(request)) return [];
    }
  }

  async heartbeat(
    worker: string,
    request: CallOptions & { readonly namespace?: string; readonly incarnation: string },
  ): Promise<WorkerBeat> {
    const holder = {
      worker: checkName(worker, "worker"),
      incarnation: checkName(request.incarnation, "incarnation"),
      leaseMs: this.#settings.leaseMs,
    };
    const namespace = namespaceOf(request);
    const beat = await within("The heartbeat", request, () =>
      this.#store.heartbeat(namespace, holder),
    );
    return { ...beat, leaseMs: holder.leaseMs };
  }

  checkpoint(id: string, report: HolderReport): Promise<Reported> {
    return this.#report(id, "checkpoint", { given: report });
  }

  complete(id: string, report: CompleteReport): Promise<Reported> {
    return this.#report(id, "complete", { given: report, body: report.result ?? null });
  }

  async fail(id: string, report: FailReport): Promise<Reported> {
    return await this.#report(id, "fail", { given: report, body: failBody(report) });
  }

  async reject(id: string, report: FailReport): Promise<Reported> {
    return await this.#report(id, "reject", { given: report, body: failBody(report) });
  }

  suspend(id: string, report: HolderReport): Promise<Reported> {
    return this.#report(id, "suspend", { given: report });
  }

  release(id: string, report: HolderReport): Promise<Reported> {
    return this.#report(id, "release", { given: report });
  }

  async wait(id: string, report: WaitReport): Promise<Reported> {
    return await this.#report(id, "wait", { given: report, body: waitBody(report.wait) });
  }

  async effect(id: string, report: EffectReport): Promise<EffectState> {
    const { receipt, again = false } = report;
    const { body } = prepareReport(id, "checkpoint", {
      given: { epoch: report.epoch },
      body: receipt,
      limits: this.#options.limits,
    });
    const order = {
      id: checkId(id),
      epoch: checkEpoch(report.epoch),
      key: checkName(report.key, "key"),
      receipt: body,
      again,
    };
    const namespace = namespaceOf(report);
    const answer = await within("The effect", report, () =>
      this.#store.recordEffect(namespace, order),
    );
    if (answer.code === "PAYLOAD_TOO_LARGE")
      throw taskRefusal(answer.code, id, { detail: "it has as many effects as one may" });
    if (answer.code !== null) throw taskRefusal(answer.code, id);
    return { standing: answer.standing!, receipt: valueOf(answer.receipt) };
  }

  async cancel(id: string, order: TaskOrder = {}): Promise<{ id: string; phase: string }[]> {
    const namespace = namespaceOf(order);
    const rows = await within("The cancel", order, () =>
      this.#store.cancel(namespace, checkId(id), prepareWhy(order)),
    );
    const refused = rows.find(({ code }) => code !== null);
    if (refused !== undefined) throw taskRefusal(refused.code!, id);
    this.#written(
      namespace,
      rows.map((row) => row.id),
    );
    return rows.map((row) => ({ id: row.id, phase: row.phase! }));
  }

  async answer(id: string, answer: TaskAnswer): Promise<Reported> {
    const event = prepareAnswer(answer, this.#options.limits);
    const namespace = namespaceOf(answer);
    const told = await within("The answer", answer, () =>
      this.#store.answer(namespace, checkId(id), event),
    );
    return this.#reported(namespace, { id, answer: told });
  }

  async retry(id: string, order: TaskOrder = {}): Promise<Reported> {
    const namespace = namespaceOf(order);
    const told = await within("The retry", order, () =>
      this.#store.retry(namespace, checkId(id), prepareWhy(order)),
    );
    return this.#reported(namespace, { id, answer: told });
  }

  async get(
    id: string,
    options: CallOptions & { readonly namespace?: string } = {},
  ): Promise<TaskDetails> {
    const namespace = namespaceOf(options);
    const [task] = await within("The read", options, () =>
      this.#store.read(namespace, [checkId(id)]),
    );
    if (task === undefined) throw taskRefusal("TASK_NOT_FOUND", id);
    return task;
  }

  async stack(
    stack: string,
    options: CallOptions & { readonly namespace?: string; readonly limit?: number } = {},
  ): Promise<Task[]> {
    const { pageItems } = this.#options.limits;
    const limit = wholeNumber(options.limit ?? 100, "limit", { from: 1, to: pageItems });
    const namespace = namespaceOf(options);
    return await within("The read", options, () =>
      this.#store.stack(namespace, checkScope(stack), limit),
    );
  }

  /** A worker's process is gone: others may have at once what it held. Answers how many tasks that were. */
  async endLeases(namespace: string, ended: EndedWorker): Promise<number> {
    const count = await this.#store.endLeases(namespace, ended);
    if (count > 0) {
      this.#wakeups.wake();
      this.#options.bell?.ring();
    }
    return count;
  }

  /** Does what is due; to be called every `sweepMs`. Whether more is due already, and when the next is. */
  async sweep(limit = 1_000): Promise<{ readonly more: boolean; readonly nextDue: Date | null }> {
    const swept = await this.#store.sweep(limit, this.#settings.crashBudget);
    if (swept === null) return { more: false, nextDue: null };
    if (swept.takenOver + swept.rung + swept.reconciled > 0) {
      this.#wakeups.wake();
      this.#options.bell?.ring();
    }
    return swept;
  }

  async #report(
    id: string,
    kind: ReportKind,
    { given, body }: { readonly given: HolderReport; readonly body?: unknown },
  ): Promise<Reported> {
    const { limits } = this.#options;
    const namespace = namespaceOf(given);
    const report = prepareReport(id, kind, { given, body, limits });
    const next: ClaimOrder | null =
      given.next === undefined ? null : prepareClaim(given.next, this.#settings.leaseMs);
    const { answer, tasks } = await within("The report", given, () =>
      this.#calls.report({ namespace, report, next }),
    );
    if (["fail", "wait"].includes(kind)) this.#options.onDue?.();
    if (isRefused(answer)) await this.#giveBack(namespace, tasks);
    return this.#reported(namespace, { id, answer, tasks });
  }

  #reported(
    namespace: string,
    {
      id,
      answer,
      tasks = [],
    }: { readonly id: string; readonly answer: ReportAnswer; readonly tasks?: Task[] },
  ): Reported {
    const { code, phase, wanted } = answer;
    if (isRefused(answer)) throw taskRefusal(code!, id, { phase });
    const mayBeFree = tasks.length === 0 && phase !== "working" && phase !== "canceling";
    this.#written(namespace, [id, ...tasks.map((task) => task.id)], { mayBeFree });
    return { id, phase: phase!, wanted, replayed: code === "REPLAYED", tasks };
  }

  /** Who is refused hears of nothing that was claimed with it. */
  async #giveBack(namespace: string, tasks: readonly Task[]): Promise<void> {
    const reports = tasks.map(({ id, epoch }) =>
      this.#calls.report({
        namespace,
        report: { id, epoch, report: "release", body: null, resumePoint: null },
        next: null,
      }),
    );
    await Promise.allSettled(reports);
    this.#written(
      namespace,
      tasks.map(({ id }) => id),
    );
  }

  /** `mayBeFree`: of what it left ready nothing was claimed with it, so that others may take it. */
  #written(namespace: string, ids: readonly string[], { mayBeFree = true } = {}): void {
    this.#options.onWritten?.(namespace, ids);
    this.#wakeups.wake();
    if (mayBeFree) this.#options.bell?.ring();
  }

  /** Until something was written here, or it is time to look again. */
  async #rest(
    woken: Promise<void>,
    { ms, signal }: { readonly ms: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    const over = new AbortController();
    const unhear = onAbort(signal, () => over.abort());
    const rested = sleep(ms, undefined, { signal: over.signal, ref: true }).catch(() => undefined);
    await Promise.race([woken, rested]);
    unhear();
    over.abort();
  }
}

function namespaceOf({ namespace }: { readonly namespace?: string }): string {
  return namespace === undefined ? "default" : checkNamespace(namespace);
}

function isAborted({ signal }: CallOptions): boolean {
  return signal?.aborted === true;
}

function signalOf({ signal }: CallOptions): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** A call that ends in its caller's time; one that was sent may have happened all the same. */
function within<T>(
  what: string,
  { signal, timeoutMs }: CallOptions,
  run: () => Promise<T>,
): Promise<T> {
  if (signal === undefined && timeoutMs === undefined) return run();
  const options = {
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
  return withDeadline({ ...options, what, mayHaveHappened: () => true }, run);
}

function isRefused({ code }: ReportAnswer): boolean {
  return code !== null && code !== "REPLAYED";
}

function pushedTask(namespace: string, push: PreparedPush, answer: PushAnswer): Task {
  const { code: _, detail: __, ...told } = answer;
  if (told.phase === "")
    throw new AgentRuntimeError("INTERNAL", "a pushed task came without its phase");
  return {
    ...told,
    namespace,
    preempt: push.preempt,
    epoch: 0n,
    attempt: 0,
    input: valueOf(push.input),
    results: [],
    lease: null,
    deadline: push.deadline,
    ...(push.supersedes === null ? {} : { supersedes: push.supersedes }),
  };
}
