import { methodAt } from "../grpc/method.ts";
import type { Method } from "../grpc/method.ts";
import { codecOf } from "./messages.ts";

function method(
  path: string,
  [request, response]: readonly [string, string],
  streams: { readonly responseStream?: true } = {},
): Method {
  return methodAt(path, { request: codecOf(request), response: codecOf(response) }, streams);
}

const EVENTS = "/containerd.services.events.v1.Events";
const CONTAINERS = "/containerd.services.containers.v1.Containers";
const TASKS = "/containerd.services.tasks.v1.Tasks";
const CRI = "/runtime.v1.RuntimeService";

export const METHODS = {
  subscribe: method(`${EVENTS}/Subscribe`, ["SubscribeRequest", "Envelope"], {
    responseStream: true,
  }),
  forward: method(`${EVENTS}/Forward`, ["ForwardRequest", "Empty"]),
  container: method(`${CONTAINERS}/Get`, ["GetContainerRequest", "GetContainerResponse"]),
  containers: method(`${CONTAINERS}/List`, ["ListContainersRequest", "ListContainersResponse"]),
  tasks: method(`${TASKS}/List`, ["ListTasksRequest", "ListTasksResponse"]),
  containerStatus: method(`${CRI}/ContainerStatus`, [
    "CriContainerStatusRequest",
    "CriContainerStatusResponse",
  ]),
  sandboxStatus: method(`${CRI}/PodSandboxStatus`, [
    "CriSandboxStatusRequest",
    "CriSandboxStatusResponse",
  ]),
} as const;
