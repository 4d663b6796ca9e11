import { Client, Metadata, credentials } from "@grpc/grpc-js";
import { METHODS } from "../../src/containerd/methods.ts";
import { codecOf } from "../../src/containerd/messages.ts";

/** Puts an event on the bus as a shim of one's own choice would: anybody on the socket may. */
export async function inject(
  socket: string,
  topic: string,
  [type, body]: readonly [type: string, body: object],
): Promise<void> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  const envelope = {
    timestamp: wireNow(),
    namespace: "k8s.io",
    topic,
    event: { typeUrl: `containerd.events.${type}`, value: codecOf(type).encode(body) },
  };
  const { path, requestSerialize, responseDeserialize } = METHODS.forward;
  try {
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { envelope },
        new Metadata(),
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
  } finally {
    client.close();
  }
}

export function wireNow(): { readonly seconds: number; readonly nanos: number } {
  const nowMs = Date.now();
  return { seconds: Math.floor(nowMs / 1_000), nanos: (nowMs % 1_000) * 1_000_000 };
}
