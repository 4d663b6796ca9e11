import { Client, Metadata, credentials } from "@grpc/grpc-js";
import type { Clock } from "../service/clock.ts";
import type { Method } from "../grpc/method.ts";
import { containerdFailure, isNotFound } from "./failure.ts";
import type { BusEvent } from "./bus-event.ts";
import { METHODS } from "./methods.ts";
import { containerOf, pastEndOf, taskOf } from "./records.ts";
import type {
  ContainerRecord,
  PastEnd,
  TaskRecord,
  WireContainer,
  WireContainerStatus,
  WireProcess,
} from "./records.ts";
import { Subscription, newMarkTopic } from "./subscription.ts";

export interface ContainerdOptions {
  /** The path of its socket. */
  readonly socket: string;
  /** Its own namespace, which is none of Kubernetes: `k8s.io` has all pods. */
  readonly namespace: string;
  readonly timeoutMs?: number;
  readonly clock: Clock;
}

export interface EventListener {
  readonly onEvent: (event: BusEvent) => void;
  readonly onUnreadable: (topic: string, error: unknown) => void;
}

interface ContainerAnswer {
  readonly container?: WireContainer | null;
}

interface EndAnswer {
  readonly status?: WireContainerStatus | null;
}

interface SandboxAnswer {
  readonly status?: { readonly state: number } | null;
}

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const CRI_NOT_READY = 1;
/** containerd asks each shim, one after the other, and waits 2 s for one that hangs. */
const LIST_MS = 60_000;

/** The container runtime of a node, over its socket. Connects when it is first asked, and again whenever it must. */
export class Containerd {
  readonly #options: Required<ContainerdOptions>;
  readonly #client: Client;

  constructor(options: ContainerdOptions) {
    this.#options = { timeoutMs: 10_000, ...options };
    this.#client = new Client(`unix:${options.socket}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.min_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 1_000,
      "grpc.enable_retries": 0,
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000,
    });
  }

  /** What happens from now on. `mark` tells when "now" is. */
  subscribe({ onEvent, onUnreadable }: EventListener): Subscription {
    const { path, requestSerialize, responseDeserialize } = METHODS.subscribe;
    const markTopic = newMarkTopic();
    const filters = [`namespace=="${this.#options.namespace}"`, `topic=="${markTopic}"`];
    const stream = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { filters },
      new Metadata(),
    );
    const forward = (topic: string): Promise<void> => this.#forward(topic);
    const failure = (error: unknown): Error =>
      containerdFailure("Joining the bus", this.#options.socket, error);
    return new Subscription({ stream, forward, failure, markTopic, onEvent, onUnreadable });
  }

  /** Null: it is gone. */
  async container(id: string): Promise<ContainerRecord | null> {
    const answer: ContainerAnswer | null = await this.#find("A container", METHODS.container, {
      id,
    });
    return answer?.container ? containerOf(answer.container) : null;
  }

  async containers(): Promise<readonly ContainerRecord[]> {
    const answer = await this.#call("The list of containers", METHODS.containers, {});
    return (answer as { readonly containers: WireContainer[] }).containers.map(containerOf);
  }

  async tasks(): Promise<readonly TaskRecord[]> {
    const answer = await this.#call("The list of tasks", METHODS.tasks, {}, LIST_MS);
    return (answer as { readonly tasks: WireProcess[] }).tasks.map(taskOf);
  }

  /** How a container of a pod ended, as its Container Runtime Interface remembers; null: it has not, or nobody knows. */
  async pastEnd(containerId: string): Promise<PastEnd | null> {
    const what = "The status of a container";
    const request = { containerId };
    const answer: EndAnswer | null = await this.#find(what, METHODS.containerStatus, request);
    return answer?.status ? pastEndOf(answer.status) : null;
  }

  /** Whether the sandbox of a pod was and is no more. */
  async sandboxEnded(sandboxId: string): Promise<boolean> {
    const what = "The status of a sandbox";
    const request = { sandboxId };
    const answer: SandboxAnswer | null = await this.#find(what, METHODS.sandboxStatus, request);
    return answer?.status?.state === CRI_NOT_READY;
  }

  /** Ends the connection, and every subscription on it. */
  close(): void {
    this.#client.close();
  }

  async #forward(topic: string): Promise<void> {
    const { namespace, clock } = this.#options;
    const nowMs = clock.now();
    const timestamp = { seconds: Math.floor(nowMs / 1_000), nanos: (nowMs % 1_000) * 1_000_000 };
    const event = { typeUrl: "google.protobuf.Empty", value: Buffer.alloc(0) };
    // Of a namespace of its own: whoever follows the pods' does not see it.
    const envelope = { timestamp, namespace: `${namespace}.agentruntime`, topic, event };
    await this.#call("An event", METHODS.forward, { envelope });
  }

  /** Null where there is no such thing. */
  async #find(what: string, method: Method, request: object): Promise<object | null> {
    try {
      return await this.#call(what, method, request);
    } catch (error) {
      if (isNotFound((error as Error).cause)) return null;
      throw error;
    }
  }

  #call(
    what: string,
    method: Method,
    request: object,
    timeoutMs = this.#options.timeoutMs,
  ): Promise<object> {
    const { socket, namespace, clock } = this.#options;
    const metadata = new Metadata();
    metadata.set("containerd-namespace", namespace);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline: clock.now() + timeoutMs },
        (error, answer) => {
          if (error === null) resolve(answer ?? {});
          else reject(containerdFailure(what, socket, error));
        },
      );
    });
  }
}
