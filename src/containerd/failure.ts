import { status as grpcStatus } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { AgentRuntimeError } from "../state/errors.ts";

/** A call to containerd that came to nothing. */
export function containerdFailure(what: string, socket: string, error: unknown): AgentRuntimeError {
  if (error instanceof AgentRuntimeError) return error;
  const { code, details } = error as Partial<ServiceError>;
  const reason =
    code === undefined ? String(error) : `${grpcStatus[code] ?? code}: ${details ?? ""}`;
  const message = `${what}: containerd at ${socket} does not answer (${reason}). Does it run, and may this user open its socket?`;
  return new AgentRuntimeError("UNAVAILABLE", message, { cause: error });
}

export function isNotFound(error: unknown): boolean {
  return (error as Partial<ServiceError>).code === grpcStatus.NOT_FOUND;
}
