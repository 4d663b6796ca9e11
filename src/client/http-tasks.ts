import { callFault } from "../service/deadline.ts";
import { onAbort } from "../service/on-abort.ts";
import { definedOnly } from "../state/defined.ts";
import { checkId, checkScope } from "../state/identifiers.ts";
import { deepFreeze } from "../state/json-check.ts";
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
import type { Effect, Task, TaskDetails, TaskLease } from "../state/task.ts";
import { decode } from "./decode.ts";
import { dataText, queryOf } from "./encode.ts";
import { clientClosed } from "./transport.ts";
import type { Call } from "./transport.ts";

type Options = CallOptions & { readonly namespace?: string };
type Send = (options: Options, call: Call) => Promise<unknown>;

/** How long an answer may take beyond what a claim waits. */
const GRACE_MS = 30_000;

/** The tasks of a running service. */
export class HttpTasks implements TaskFace {
  readonly #send: Send;
  readonly #closing: AbortSignal | undefined;

  constructor(send: Send, closing?: AbortSignal) {
    this.#send = send;
    this.#closing = closing;
  }

  async push(stack: string, request: PushRequest = {}): Promise<Task> {
    return decode(await this.#post(`${stackPath(stack)}/tasks`, request), toTask);
  }

  async claim(request: ClaimRequest): Promise<Task[]> {
    const timeoutMs = request.timeoutMs ?? (request.waitMs ?? 0) + GRACE_MS;
    const fault = callFault(request);
    if (fault !== undefined) throw fault;
    if (request.signal?.aborted === true) return await this.#claim({ ...request, timeoutMs });
    // A client that closes waits for nobody's push: what the service claims for who has gone it gives back.
    const over = new AbortController();
    const signals = [request.signal, this.#closing];
    const unhear = signals.map((signal) => onAbort(signal, () => over.abort()));
    try {
      return await this.#claim({ ...request, timeoutMs, signal: over.signal });
    } catch (error) {
      throw this.#closing?.aborted === true ? clientClosed() : error;
    } finally {
      for (const end of unhear) end();
    }
  }

  async #claim(request: ClaimRequest): Promise<Task[]> {
    const answer = await this.#post("/v1/tasks:claim", request);
    return decode(answer, ({ tasks }: { tasks: WireTask[] }) => tasks.map(toTask));
  }

  async heartbeat(
    worker: string,
    request: Options & { readonly incarnation: string },
  ): Promise<WorkerBeat> {
    const path = `/v1/workers/${encodeURIComponent(checkId(worker))}/heartbeat`;
    return decode(await this.#post(path, request), toHeartbeat);
  }

  checkpoint(id: string, report: HolderReport): Promise<Reported> {
    return this.#report(id, "checkpoint", report);
  }

  complete(id: string, report: CompleteReport): Promise<Reported> {
    return this.#report(id, "complete", report);
  }

  fail(id: string, report: FailReport): Promise<Reported> {
    return this.#report(id, "fail", report);
  }

  reject(id: string, report: FailReport): Promise<Reported> {
    return this.#report(id, "reject", report);
  }

  suspend(id: string, report: HolderReport): Promise<Reported> {
    return this.#report(id, "suspend", report);
  }

  release(id: string, report: HolderReport): Promise<Reported> {
    return this.#report(id, "release", report);
  }

  wait(id: string, { wait, ...report }: WaitReport): Promise<Reported> {
    return this.#report(id, "wait", { ...report, ...wait });
  }

  async effect(id: string, report: EffectReport): Promise<EffectState> {
    return decode(await this.#post(`${taskPath(id)}/effects`, report), (wire: EffectState) => wire);
  }

  async cancel(id: string, order: TaskOrder = {}): Promise<{ id: string; phase: string }[]> {
    const answer = await this.#post(`${taskPath(id)}/cancel`, order);
    return decode(answer, ({ items }: { items: { id: string; phase: string }[] }) => items);
  }

  answer(id: string, { event, data, ...options }: TaskAnswer): Promise<Reported> {
    const given = event === undefined ? { input: data } : { event, data };
    return this.#report(id, "input", { ...options, ...given });
  }

  retry(id: string, order: TaskOrder = {}): Promise<Reported> {
    return this.#report(id, "retry", order);
  }

  async get(id: string, options: Options = {}): Promise<TaskDetails> {
    return decode(await this.#send(options, { method: "GET", path: taskPath(id) }), toDetails);
  }

  async stack(
    stack: string,
    { limit, ...options }: Options & { readonly limit?: number } = {},
  ): Promise<Task[]> {
    const path = stackPath(stack) + queryOf({ limit });
    const answer = await this.#send(options, { method: "GET", path });
    return decode(answer, ({ items }: { items: WireTask[] }) => items.map(toTask));
  }

  async #report(id: string, kind: string, report: Options): Promise<Reported> {
    return decode(await this.#post(`${taskPath(id)}/${kind}`, report), toReported);
  }

  #post(path: string, request: Options): Promise<unknown> {
    const { signal, timeoutMs, namespace, traceparent, ...fields } = request;
    const options: Options = definedOnly({ signal, timeoutMs, namespace, traceparent });
    return this.#send(options, { method: "POST", path, body: bodyOf(fields) });
  }
}

/** 64-bit numbers travel as text: these two are. What a caller gives as data is left to be refused. */
function bodyOf(fields: { readonly epoch?: unknown; readonly parentEpoch?: unknown }): string {
  const { epoch, parentEpoch } = fields;
  return dataText({
    ...fields,
    ...(typeof epoch === "bigint" ? { epoch: epoch.toString() } : {}),
    ...(typeof parentEpoch === "bigint" ? { parentEpoch: parentEpoch.toString() } : {}),
  });
}

function taskPath(id: string): string {
  return `/v1/tasks/${encodeURIComponent(checkId(id))}`;
}

function stackPath(stack: string): string {
  return `/v1/stacks/${encodeURIComponent(checkScope(stack))}`;
}

interface WireTask extends Omit<
  Task,
  "seq" | "epoch" | "parent" | "lease" | "runAt" | "deadline" | "createdAt"
> {
  readonly seq: string | null;
  readonly epoch: string;
  readonly parent?: string;
  readonly lease?: { readonly worker: string; readonly until: string; readonly since?: string };
  readonly runAt?: string;
  readonly deadline?: string;
  readonly createdAt: string;
}

function toTask(wire: WireTask): Task {
  const { seq, lease, runAt, deadline, ...plain } = wire;
  return {
    ...deepFreeze(plain),
    seq: seq === null ? null : BigInt(seq),
    epoch: BigInt(wire.epoch),
    parent: wire.parent ?? null,
    lease: lease === undefined ? null : leaseOf(lease),
    runAt: dateOf(runAt),
    deadline: dateOf(deadline),
    createdAt: new Date(wire.createdAt),
  };
}

function leaseOf({ worker, until, since }: NonNullable<WireTask["lease"]>): TaskLease {
  return {
    worker,
    until: new Date(until),
    ...(since === undefined ? {} : { since: new Date(since) }),
  };
}

interface WireDetails extends WireTask {
  readonly children: TaskDetails["children"];
  readonly effects: readonly (Omit<Effect, "epoch" | "begunAt" | "doneAt"> & {
    readonly epoch: string;
    readonly begunAt: string;
    readonly doneAt: string | null;
  })[];
}

function toDetails({ children, effects, ...task }: WireDetails): TaskDetails {
  return {
    ...toTask(task),
    children,
    effects: effects.map(({ epoch, begunAt, doneAt, ...effect }) => ({
      ...effect,
      epoch: BigInt(epoch),
      begunAt: new Date(begunAt),
      doneAt: dateOf(doneAt ?? undefined),
    })),
  };
}

function toReported({
  tasks,
  ...reported
}: Omit<Reported, "tasks"> & { tasks: WireTask[] }): Reported {
  return { ...reported, tasks: tasks.map(toTask) };
}

function toHeartbeat({
  leaseUntil,
  ...told
}: Omit<WorkerBeat, "leaseUntil"> & { leaseUntil: string }): WorkerBeat {
  return { ...told, leaseUntil: new Date(leaseUntil) };
}

function dateOf(text: string | undefined): Date | null {
  return text === undefined ? null : new Date(text);
}
