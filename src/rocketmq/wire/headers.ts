import { createHmac, randomUUID } from "node:crypto";
import { Metadata } from "@grpc/grpc-js";
import type { Credentials } from "../settings.ts";

/** The version of the official clients whose protocol is spoken. */
export const PROTOCOL_VERSION = "5.0.8";

/** What goes with each call: who calls, and the proof of it. */
export function headersOf(caller: {
  readonly clientId: string;
  readonly credentials?: Credentials | undefined;
  readonly nowMs: number;
}): Metadata {
  const { clientId, credentials } = caller;
  const at = new Date(caller.nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const metadata = new Metadata();
  metadata.set("x-mq-protocol", "v2");
  metadata.set("x-mq-client-id", clientId);
  metadata.set("x-mq-date-time", at);
  metadata.set("x-mq-request-id", randomUUID());
  metadata.set("x-mq-language", "HTTP"); // servers refuse a name that they do not know
  metadata.set("x-mq-client-version", PROTOCOL_VERSION);
  if (credentials !== undefined) metadata.set("authorization", authorizationOf(credentials, at));
  return metadata;
}

function authorizationOf({ accessKey, secretKey }: Credentials, at: string): string {
  const signature = createHmac("sha1", secretKey).update(at).digest("hex").toUpperCase();
  return `MQv2-HMAC-SHA1 Credential=${accessKey}, SignedHeaders=x-mq-date-time, Signature=${signature}`;
}
