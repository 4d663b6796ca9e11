import { codecsOf } from "../grpc/codec.ts";
import type { MessageTable } from "../grpc/codec.ts";

/**
 * The part of containerd's public protocol, and of Kubernetes' Container Runtime Interface (`Cri...`), that is
 * used here. Numbers and types are the protocols'; the names of fields are ours.
 */
const MESSAGES: MessageTable = {
  Timestamp: { seconds: ["int64", 1], nanos: ["int32", 2] },
  Any: { typeUrl: ["string", 1], value: ["bytes", 2] },
  Envelope: {
    timestamp: ["Timestamp", 1],
    namespace: ["string", 2],
    topic: ["string", 3],
    event: ["Any", 4],
  },
  SubscribeRequest: { filters: ["string[]", 1] },
  ForwardRequest: { envelope: ["Envelope", 1] },
  Empty: {},
  Runtime: { name: ["string", 1] },
  Container: {
    id: ["string", 1],
    labels: ["string{}", 2],
    runtime: ["Runtime", 4],
    createdAt: ["Timestamp", 8],
  },
  GetContainerRequest: { id: ["string", 1] },
  GetContainerResponse: { container: ["Container", 1] },
  ListContainersRequest: { filters: ["string[]", 1] },
  ListContainersResponse: { containers: ["Container[]", 1] },
  Process: {
    containerId: ["string", 1],
    id: ["string", 2],
    status: ["int32", 4],
    exitStatus: ["uint32", 9],
    exitedAt: ["Timestamp", 10],
  },
  ListTasksRequest: { filter: ["string", 1] },
  ListTasksResponse: { tasks: ["Process[]", 1] },
  ContainerCreate: { id: ["string", 1] },
  ContainerDelete: { id: ["string", 1] },
  TaskStart: { containerId: ["string", 1] },
  TaskDelete: {
    containerId: ["string", 1],
    exitStatus: ["uint32", 3],
    exitedAt: ["Timestamp", 4],
    id: ["string", 5],
  },
  TaskExit: {
    containerId: ["string", 1],
    id: ["string", 2],
    exitStatus: ["uint32", 4],
    exitedAt: ["Timestamp", 5],
  },
  TaskOOM: { containerId: ["string", 1] },
  TaskPaused: { containerId: ["string", 1] },
  TaskResumed: { containerId: ["string", 1] },
  CriContainerStatusRequest: { containerId: ["string", 1] },
  CriContainerStatus: {
    id: ["string", 1],
    state: ["int32", 3],
    finishedAt: ["int64", 6],
    exitCode: ["int32", 7],
    reason: ["string", 10],
  },
  CriContainerStatusResponse: { status: ["CriContainerStatus", 1] },
  CriSandboxStatusRequest: { sandboxId: ["string", 1] },
  CriSandboxStatus: { id: ["string", 1], state: ["int32", 3] },
  CriSandboxStatusResponse: { status: ["CriSandboxStatus", 1] },
};

/** The codec of a type of the table. */
export const codecOf = codecsOf(MESSAGES);
