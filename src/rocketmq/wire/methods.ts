import { methodAt } from "../../grpc/method.ts";
import type { Method } from "../../grpc/method.ts";
import { codecOf } from "./messages.ts";

const SERVICE = "apache.rocketmq.v2.MessagingService";

function method(
  name: string,
  types: { readonly request?: string; readonly response?: string } = {},
  streams: { readonly requestStream?: true; readonly responseStream?: true } = {},
): Method {
  const request = codecOf(types.request ?? `${name}Request`);
  const response = codecOf(types.response ?? `${name}Response`);
  return methodAt(`/${SERVICE}/${name}`, { request, response }, streams);
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
