import type { MethodDefinition } from "@grpc/grpc-js";
import { codecOf } from "./messages.ts";

const SERVICE = "apache.rocketmq.v2.MessagingService";

/** A call of the service. */
export type Method = MethodDefinition<object, object>;

function method(
  name: string,
  types: { readonly request?: string; readonly response?: string } = {},
  streams: { readonly requestStream?: true; readonly responseStream?: true } = {},
): Method {
  const request = codecOf(types.request ?? `${name}Request`);
  const response = codecOf(types.response ?? `${name}Response`);
  return {
    path: `/${SERVICE}/${name}`,
    requestStream: streams.requestStream ?? false,
    responseStream: streams.responseStream ?? false,
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: response.encode,
    responseDeserialize: response.decode,
  };
}

export const METHODS = {
  queryRoute: method("QueryRoute"),
  heartbeat: method("Heartbeat"),
  sendMessage: method("SendMessage"),
  receiveMessage: method("ReceiveMessage", {}, { responseStream: true }),
  ackMessage: method("AckMessage"),
  changeInvisibleDuration: method("ChangeInvisibleDuration"),
  notifyClientTermination: method("NotifyClientTermination"),
  telemetry: method(
    "Telemetry",
    { request: "TelemetryCommand", response: "TelemetryCommand" },
    { requestStream: true, responseStream: true },
  ),
} as const;
