import type { JsonObject } from "../state/json.ts";
import type { CallOptions } from "../state/request.ts";
import { Transport } from "./transport.ts";

const TIMEOUT_MS = 10_000;

/**
 * What a running service says of itself (`/v1/info`).
 *
 * @throws {AgentRuntimeError} UNAVAILABLE, UNAUTHENTICATED.
 */
export async function serviceInfo(
  { url, token }: { readonly url: string; readonly token?: string },
  options: CallOptions = {},
): Promise<JsonObject> {
  const known = token === undefined ? {} : { token };
  const transport = new Transport({ url, ...known, timeoutMs: TIMEOUT_MS });
  const answer = await transport.send({ ...options, method: "GET", path: "/v1/info" });
  return answer as JsonObject;
}
