import type { Json, JsonObject } from "../../state/json.ts";
import { head } from "../../state/quote.ts";
import type { ChangeRequest } from "../../state/request.ts";
import type { Message, RecordedEvent, RecordedRun, ToolCall } from "./recorded-run.ts";

/** One step of the agent's scope: what a replay commits at once. */
export interface PlannedStep {
  readonly changes: readonly ChangeRequest[];
  readonly actor: string;
  readonly cause: string;
  /** How long the recorded agent took before this. */
  readonly waitMs: number;
}

/** A run as state: the agent, and all that happens in its scope, in order. */
export interface RunPlan {
  /** The agent's id, which is the scope of all the rest. */
  readonly agent: string;
  readonly task: string;
  readonly conversation: string;
  readonly steps: readonly PlannedStep[];
  readonly tasks: number;
  readonly messages: number;
}

/** Where the record has no times, people and models take a second for a message. */
const MESSAGE_MS = 1_000;
const MAX_CAUSE = 200;

/**
 * The steps that make a recorded run.
 *
 * The run is an agent, what the user asked for is its task, each message is appended to its
 * conversation, and each tool call is a child task that ends with its result. Every phase moves
 * along the lifecycles, and at most one task works at a time: a task waits while its child works.
 * The same run and prefix give the same steps, so that a replay that was cut off can go on.
 */
export function planRun(run: RecordedRun, prefix: string): RunPlan {
  return new RunPlanner(run, prefix).plan();
}

interface StepFacts {
  readonly actor: string;
  readonly cause: string;
  readonly waitMs?: number;
}

class RunPlanner {
  readonly #run: RecordedRun;
  readonly #agent: string;
  readonly #task: string;
  readonly #conversation: string;
  readonly #steps: PlannedStep[] = [];
  /** Child tasks whose tool has not returned yet. */
  #called: readonly { readonly key: string; readonly id: string; readonly name: string }[] = [];
  #isWorking = false;
  #children = 0;
  #messages = 0;

  constructor(run: RecordedRun, prefix: string) {
    this.#run = run;
    this.#agent = `${prefix}${run.name}`;
    this.#task = `${this.#agent}.task`;
    this.#conversation = `${this.#agent}.conversation`;
  }

  plan(): RunPlan {
    this.#start();
    this.#ask();
    for (const [index, event] of this.#run.events.entries()) {
      const next = this.#run.events[index + 1];
      this.#happen(event, next?.kind === "says" && next.by === "user");
    }
    this.#finish();
    return {
      agent: this.#agent,
      task: this.#task,
      conversation: this.#conversation,
      steps: this.#steps,
      tasks: 1 + this.#children,
      messages: this.#messages,
    };
  }

  #start(): void {
    const { source, name, briefing } = this.#run;
    const runtime = { actor: "runtime" };
    const data = { source, run: name, task: this.#task, conversation: this.#conversation };
    this.#messages += briefing.length;
    this.#step({ ...runtime, cause: "registers the agent" }, [
      create(this.#agent, "agent", { ...data, doing: "starts" }),
      create(this.#conversation, "conversation", { messages: briefing }),
    ]);
    this.#step({ ...runtime, cause: "starts the agent" }, [move(this.#agent, "starting")]);
    this.#step({ ...runtime, cause: "the agent is ready" }, [this.#agentMoves("idle", "waits")]);
  }

  #ask(): void {
    const { request } = this.#run;
    const data = { kind: "request", agent: this.#agent, request: contentOf(request) };
    this.#step({ actor: "user", cause: "asks", waitMs: MESSAGE_MS }, [
      create(this.#task, "task", data),
      this.#append(request),
    ]);
    this.#step({ actor: "runtime", cause: "admits the task" }, [move(this.#task, "ready")]);
    this.#work("takes up the task");
  }

  #happen(event: RecordedEvent, isUserNext: boolean): void {
    if (event.kind === "calls") this.#call(event.message, event.calls);
    else if (event.kind === "returns") this.#return(event);
    else if (event.by === "user") this.#userSays(event.message);
    else this.#agentSays(event.message, isUserNext);
  }

  #agentSays(message: Message, isUserNext: boolean): void {
    this.#work("goes on");
    const facts = { actor: this.#agent, cause: "answers", waitMs: MESSAGE_MS };
    const asks = isUserNext
      ? [move(this.#task, "input_required"), this.#agentMoves("idle", "waits for the user")]
      : [];
    this.#isWorking = !isUserNext;
    this.#step(facts, [this.#append(message), ...asks]);
  }

  #userSays(message: Message): void {
    const facts = { actor: "user", cause: "answers", waitMs: MESSAGE_MS };
    // Somebody who speaks up while the agent works is heard; the task goes on as it was.
    const resumes = this.#isWorking ? [] : [move(this.#task, "ready")];
    this.#step(facts, [this.#append(message), ...resumes]);
    this.#work("goes on");
  }

  #call(message: Message, calls: readonly ToolCall[]): void {
    this.#work("goes on");
    const names = calls.map(({ name }) => name).join(", ");
    const children = calls.map((call) => {
      const id = `${this.#task}.${++this.#children}`;
      this.#called = [...this.#called, { key: call.key, id, name: call.name }];
      const { name: tool, arguments: input } = call;
      return create(id, "task", { kind: "tool", parent: this.#task, tool, input });
    });
    const facts = { actor: this.#agent, cause: `calls ${names}`, waitMs: MESSAGE_MS };
    this.#step(facts, [this.#append(message), ...children]);
  }

  #return(event: RecordedEvent & { readonly kind: "returns" }): void {
    const { key, message, durationMs = MESSAGE_MS } = event;
    const child = this.#called.find((call) => call.key === key);
    if (child === undefined) {
      // A result that nobody asked for is still a message.
      this.#step({ actor: "tool", cause: "answers", waitMs: durationMs }, [this.#append(message)]);
      return;
    }
    this.#called = this.#called.filter((call) => call !== child);
    const { id, name } = child;
    const actor = `tool ${name}`;
    this.#step({ actor: "runtime", cause: `admits ${name}` }, [move(id, "ready")]);
    this.#step({ actor, cause: "starts" }, [
      move(this.#task, "waiting"),
      move(id, "working"),
      merge(this.#agent, { doing: name }),
    ]);
    this.#step({ actor, cause: "returns", waitMs: durationMs }, [
      merge(id, { result: contentOf(message) }, "completed"),
      this.#append(message),
      move(this.#task, "ready"),
    ]);
    this.#isWorking = false;
    this.#work("goes on with the result");
  }

  /** The task works again, where it does not: the recorded agent thinks. */
  #work(cause: string): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    this.#step({ actor: this.#agent, cause }, [
      move(this.#task, "working"),
      this.#agentMoves("busy", "thinks"),
    ]);
  }

  #finish(): void {
    const { isGood, result } = this.#run.outcome;
    this.#work("goes on");
    const canceled = this.#called.map(({ id }) => move(id, "canceled"));
    const cause = isGood ? "is done" : "did not reach the goal";
    this.#step({ actor: this.#agent, cause, waitMs: MESSAGE_MS }, [
      ...canceled,
      merge(this.#task, { result }, isGood ? "completed" : "failed"),
      this.#agentMoves("idle", "waits"),
    ]);
    const runtime = { actor: "runtime" };
    this.#step({ ...runtime, cause: "no work is left" }, [move(this.#agent, "draining")]);
    this.#step({ ...runtime, cause: "stops the agent" }, [this.#agentMoves("stopped", "nothing")]);
  }

  #step({ actor, cause, waitMs = 0 }: StepFacts, changes: readonly ChangeRequest[]): void {
    this.#steps.push({ actor, cause: head(cause, MAX_CAUSE), waitMs, changes });
  }

  #append(message: Message): ChangeRequest {
    this.#messages += 1;
    return { op: "append", id: this.#conversation, path: "/messages", items: [message] };
  }

  #agentMoves(phase: string, doing: string): ChangeRequest {
    return merge(this.#agent, { doing }, phase);
  }
}

function create(id: string, type: string, data: JsonObject): ChangeRequest {
  return { op: "update", id, type, data, expectedVersion: 0n };
}

function merge(id: string, patch: JsonObject, phase?: string): ChangeRequest {
  return { op: "merge", id, patch, ...(phase === undefined ? {} : { phase }) };
}

function move(id: string, phase: string): ChangeRequest {
  return merge(id, {}, phase);
}

function contentOf(message: Message): Json {
  return message["content"] ?? null;
}
