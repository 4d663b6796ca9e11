import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { KubernetesClient } from "./client.ts";

test.each(["", "/", "/k8s/clusters/c-1", "/k8s/clusters/c-1/"])(
  "an API server at the path %o is asked below it",
  async (below) => {
    const asked: (string | undefined)[] = [];
    const server = createServer(({ url }, response) => {
      asked.push(url);
      response.end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const at = new URL(`http://127.0.0.1:${port}${below}`);
    const client = new KubernetesClient({ server: at, token: () => Promise.resolve(null) });
    const { signal } = new AbortController();
    await client.get("/api/v1/namespaces/a%2Fb/pods", {
      query: { limit: "1" },
      silenceMs: 9_000,
      signal,
    });
    expect(asked).toEqual([`${below.replace(/\/$/, "")}/api/v1/namespaces/a%2Fb/pods?limit=1`]);
  },
);
