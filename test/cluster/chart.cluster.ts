import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { CHART, findHelm } from "../deploy/objects.ts";
import { anyHome } from "../messages/parts.ts";
import type { TestDatabase } from "../support/homes.ts";
import { Proxy } from "../support/proxy.ts";
import { until } from "../support/until.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { describeOnNode } from "./on-node.ts";
import { REAL_NODE } from "./own-node.ts";

const NAMESPACE = "agent-runtime";
const TOKEN = "of-a-writer-in-a-test";
const PATIENCE_MS = 600_000;

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: { readonly podIP: string };
}

await describeOnNode("the chart, installed with Helm", ({ cluster, node, image }) => {
  const namespace = `/api/v1/namespaces/${NAMESPACE}`;
  let api: ClusterApi;
  let database: TestDatabase;
  let door: Proxy;
  let client: HttpStateClient;

  beforeAll(async () => {
    api = await cluster.api();
    database = await anyHome().createDatabase();
    const { machine } = node.containerd.network;
    const url = new URL(database.url);
    door = await Proxy.open({ host: url.hostname, port: Number(url.port) }, { host: machine });
    [url.hostname, url.port] = [machine, String(door.port)];
    await api.make("/api/v1/namespaces", { metadata: { name: NAMESPACE } });
    await makeSecret("agent-runtime-state", {
      SUPABASE_DB_URL: url.href,
      AGENT_RUNTIME_AUTH_TOKENS: JSON.stringify([{ name: "pods", token: TOKEN, role: "writer" }]),
    });
    await makeSecret("agent-runtime-facts", { AGENT_RUNTIME_TOKEN: TOKEN });
    await upgrade();
    const [service] = await podsOf("service");
    client = HttpStateClient.open({ url: `http://${service!.status.podIP}:8080`, token: TOKEN });
  }, PATIENCE_MS);
  afterAll(async () => {
    await client.close();
    await door.close();
    await database.drop();
  });

  const makeSecret = (name: string, stringData: object): Promise<void> =>
    api.make(`${namespace}/secrets`, { metadata: { name }, stringData });

  const podsOf = async (part: string): Promise<readonly Pod[]> => {
    const selector = encodeURIComponent(`app.kubernetes.io/component=${part}`);
    const path = `${namespace}/pods?labelSelector=${selector}`;
    return (await api.ask<{ readonly items: readonly Pod[] }>("GET", path)).items;
  };

  /** Installs the chart, or upgrades it; resolves when all of it is ready. */
  async function upgrade({ isExample = false, timeoutSeconds = 5 } = {}): Promise<void> {
    const nodeSelector = { "kubernetes.io/hostname": REAL_NODE };
    const [repository, tag] = image.split(":");
    const { socket } = node.containerd;
    const values = {
      image: { repository, tag, pullPolicy: "Never" },
      service: { nodeSelector },
      captor: { nodeSelector, containerdFolder: dirname(socket), containerdSocket: "c.sock" },
      reflector: { nodeSelector },
      webhook: { nodeSelector, timeoutSeconds },
      example: { enabled: isExample, nodeSelector },
      runtimeClass: { create: isExample },
    };
    const file = join(cluster.folder, "values.json");
    await writeFile(file, JSON.stringify(values));
    await helm("upgrade", "--install", "agent-runtime", CHART, "--wait", "--values", file);
  }

  async function helm(...args: readonly string[]): Promise<string> {
    const found = findHelm();
    if (found.missing !== undefined) throw new Error(`missing: ${found.missing}`);
    const where = ["--kubeconfig", cluster.kubeconfigFile, "--namespace", NAMESPACE];
    const { stdout } = await promisify(execFile)(found.file, [...args, ...where]);
    return stdout;
  }

  test("each part runs and is ready", async () => {
    for (const [part, count] of Object.entries({
      service: 2,
      captor: 1,
      reflector: 2,
      webhook: 2,
    })) {
      expect(await podsOf(part)).toHaveLength(count);
    }
  });

  test("the agent of the example works, and all three sources tell of its pod", async () => {
    await upgrade({ isExample: true });
    const { id } = await client.tasks.push("example", { input: { steps: 3 } });
    await until(async () => (await client.tasks.get(id)).phase === "completed", {
      what: "the task",
    });
    const { data } = await client.getState("example");
    const { uid } = (data as { readonly pod: { readonly uid: string } }).pod;
    const { items } = await client.history(`pod:${uid}`, { limit: 100 });
    const causes = items.map(({ cause }) => cause).join("; ");
    for (const told of ["kata: start of main", "hook: postStart of main", "pod: start of main"]) {
      expect(causes).toContain(told);
    }
  });

  test("an upgrade keeps the certificate of the webhook", async () => {
    const secret = `${namespace}/secrets/agent-runtime-webhook-tls`;
    const before = await api.ask<{ readonly data: object }>("GET", secret);
    await upgrade({ isExample: true, timeoutSeconds: 6 });
    expect(await api.ask("GET", secret)).toMatchObject({ data: before.data });
  });

  test("uninstalled, nothing of it is left", async () => {
    await helm("uninstall", "agent-runtime", "--wait");
    await until(
      async () =>
        (await api.ask<{ readonly items: readonly Pod[] }>("GET", `${namespace}/pods`)).items
          .length === 0,
    );
  });
});
