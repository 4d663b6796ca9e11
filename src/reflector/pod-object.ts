/** Holds a pod back until the state manager has its end. */
export const FINALIZER = "agentruntime.dev/state";

/** A pod as the API server tells it: what is read of it. Everything else is forgotten at once. */
export interface PodObject {
  readonly metadata: ObjectMetadata;
  readonly spec?: PodSpec;
  readonly status?: PodStatus;
}

export interface PodSpec {
  readonly nodeName?: string;
  readonly containers?: readonly { readonly name: string }[];
  /** One that is started again whatever happens runs beside the others. */
  readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[];
}

/** What all objects of an API server have, and what of it is read. */
export interface ObjectMetadata {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly creationTimestamp: string;
  readonly resourceVersion?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** Who wrote which of its fields last, and when. */
  readonly managedFields?: readonly ManagedFields[];
}

export interface ManagedFields {
  readonly time?: string | null;
  /** A tree of the fields by their names. */
  readonly fieldsV1?: object;
}

export interface PodStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly conditions?: readonly Condition[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly lastTransitionTime?: string | null;
}

export interface ContainerStatus {
  readonly name: string;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
  readonly containerID?: string;
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string };
  readonly running?: { readonly startedAt?: string | null };
  readonly terminated?: Terminated;
}

export interface Terminated {
  readonly exitCode: number;
  readonly signal?: number;
  readonly reason?: string;
  readonly startedAt?: string | null;
  readonly finishedAt?: string | null;
  readonly containerID?: string;
}

export interface ObjectPage<Item = PodObject> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly Item[];
}

export interface WatchEvent<Item = PodObject> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Item;
}

/** Nothing of it runs any more, and it is only there because it is held back. */
export function isOver({ metadata }: PodObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata;
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && isHeld(metadata);
}

/** Whether it has our finalizer. */
export function isHeld({ finalizers }: ObjectMetadata): boolean {
  return finalizers?.includes(FINALIZER) ?? false;
}
