import { beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import type { PodObject } from "../../src/reflector/pod-object.ts";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import { expectOneState } from "../support/any-order.ts";
import { Proxy } from "../support/proxy.ts";
import { until } from "../support/until.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { NODE } from "./cluster.ts";
import { describeOnCluster } from "./on-cluster.ts";
import { makeReflectorAccount } from "./role.ts";
import { watch } from "./watching.ts";
import type { Watching, WatchingOptions } from "./watching.ts";

const NAMESPACE = "agents";
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
interface CreateOptions {
  readonly labels?: Readonly<Record<string, string>>;
  /** Null: none takes it. */
  readonly node?: string | null;
}

await describeOnCluster("reflector", (cluster) => {
  let api: ClusterApi;
  let token: string;
  let pods = 0;

  beforeAll(async () => {
    api = await cluster.api();
    token = (await makeReflectorAccount(api)).token;
  });

  beforeEach(async () => {
    await api.ask("DELETE", `${PODS}?gracePeriodSeconds=0`);
    await until(async () => (await listed()).length === 0, { what: "no pod" });
  });

  const listed = async (): Promise<readonly PodObject[]> =>
    (await api.ask<{ readonly items: readonly PodObject[] }>("GET", PODS)).items;

  const follow = async (options: Partial<WatchingOptions> = {}): Promise<Watching> => {
    const watching = await watch(cluster, { token, ...options });
    onTestFinished(() => watching.stop());
    await until(() => watching.reflector.figures.watches > 0, { what: "a watch" });
    return watching;
  };

  const create = async (
    name = `agent-${(pods += 1)}`,
    { labels = {}, node = NODE }: CreateOptions = {},
  ): Promise<PodObject> =>
    await api.ask<PodObject>("POST", PODS, {
      metadata: { name, labels: { "agentruntime.dev/agent": name, ...labels } },
      spec: {
        ...(node === null ? {} : { nodeName: node }),
        containers: [{ name: "main", image: "agent" }],
      },
    });

  const remove = (pod: PodObject, query = ""): Promise<unknown> =>
    api.ask("DELETE", `${PODS}/${pod.metadata.name}${query}`);

  const untilIs = (watching: Watching, pod: PodObject, phase: string): Promise<unknown> =>
    until(() => watching.book.phaseOf(pod.metadata.uid) === phase, {
      what: `pod ${pod.metadata.name} ${phase}`,
    }).catch((cause: unknown) => {
      const is = watching.book.phaseOf(pod.metadata.uid);
      throw new Error(`pod ${pod.metadata.name} is ${is}, not ${phase}`, { cause });
    });

  const kinds = (watching: Watching, { metadata }: PodObject): readonly string[] =>
    factsOf(watching, metadata.uid).map(({ fact }) => fact);

  const factsOf = ({ book }: Watching, uid: string): readonly LifecycleFact[] =>
    book.facts.filter(({ podUid }) => podUid === uid);

  /** All that was told of each pod so far: its order makes no difference. */
  const expectNoOrder = (watching: Watching): void => {
    for (const uid of watching.book.pods.keys()) expectOneState(factsOf(watching, uid));
  };

  test("a pod is told from its begin to its end, by whom it may be read and no more", async () => {
    const watching = await follow();
    const pod = await create();
    await untilIs(watching, pod, "running");
    await remove(pod);
    await untilIs(watching, pod, "deleted");
    const told = kinds(watching, pod);
    for (const fact of ["create", "scheduled", "start", "ready", "preStop", "deleted"]) {
      expect(told).toContain(fact);
    }
    expect(told.at(-1)).toBe("deleted");
    expectNoOrder(watching);
    // Whoever has that token may not write.
    const client = new KubernetesClient({
      server: cluster.server,
      authority: await cluster.authority(),
      token: () => Promise.resolve(token),
    });
    const secrets = client.get("/api/v1/secrets", {
      silenceMs: 10_000,
      signal: AbortSignal.timeout(10_000),
    });
    await expect(secrets).rejects.toMatchObject({ status: 403 });
  });

  test("a pod that fails, and one that finds no node", async () => {
    const watching = await follow();
    const fails = await create(undefined, { labels: { "test/fails": "" } });
    const waits = await create(undefined, { node: null });
    await untilIs(watching, fails, "failed");
    await untilIs(watching, waits, "requested");
    const exit = watching.book.facts.find(({ fact }) => fact === "exit");
    expect(exit).toMatchObject({ exitCode: 3, container: "main", node: NODE });
  });

  test("lists come in pages, and all of them are told", async () => {
    const made = await Promise.all(Array.from({ length: 7 }, () => create()));
    const watching = await follow({ page: 2 });
    for (const pod of made) await untilIs(watching, pod, "running");
    const lists = watching.asked.filter((query) => query?.["limit"] !== undefined);
    expect(lists).toHaveLength(4);
    expect(lists[1]).toHaveProperty("continue");
  });

  test("bookmarks carry it on where none of its pods changes", async () => {
    const watching = await follow({ watchSeconds: 4 });
    const versions = (): number[] =>
      watching.asked.flatMap((query) =>
        query?.["watch"] === "true" ? [Number(query["resourceVersion"])] : [],
      );
    const [first = 0] = versions();
    // Of others: nothing of that is told.
    for (let n = 0; n < 3; n += 1) {
      await api.ask("POST", `/api/v1/namespaces/${NAMESPACE}/pods`, {
        metadata: { generateName: "other-" },
        spec: { containers: [{ name: "main", image: "other" }] },
      });
    }
    await until(() => (versions().at(-1) ?? 0) > first, { what: "a watch from a bookmark" });
    expect(watching.reflector.figures).toMatchObject({ lists: 1, pods: 0, failures: 0 });
    expect(watching.book.facts).toEqual([]);
  });

  test("an eviction, a forced end, and another pod under the name", async () => {
    const watching = await follow();
    const evicted = await create();
    const forced = await create();
    for (const pod of [evicted, forced]) await untilIs(watching, pod, "running");
    const { name, namespace } = evicted.metadata;
    await api.ask("POST", `${PODS}/${name}/eviction`, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name, namespace },
    });
    await untilIs(watching, evicted, "deleted");
    const stops = watching.book.facts.find(({ reason }) => reason === "EvictionByEvictionAPI");
    expect(stops).toMatchObject({ podName: name, fact: "preStop" });
    await remove(forced, "?gracePeriodSeconds=0");
    const again = await create(forced.metadata.name);
    await untilIs(watching, forced, "deleted");
    await untilIs(watching, again, "running");
    expect(again.metadata.uid).not.toBe(forced.metadata.uid);
    expectNoOrder(watching);
  });

  test("a node that is lost, as its controller writes it", async () => {
    const watching = await follow();
    const pod = await create();
    await untilIs(watching, pod, "running");
    // There is no node controller here. It says that later than the second in which the pod became ready.
    const lastTransitionTime = new Date(Date.now() + 1_000).toISOString().replace(/\.\d+/, "");
    const conditions = [{ type: "Ready", status: "False", lastTransitionTime }];
    await api.ask("PATCH", `${PODS}/${pod.metadata.name}/status`, {
      status: { phase: "Unknown", reason: "NodeLost", conditions },
    });
    await untilIs(watching, pod, "unknown");
    expectNoOrder(watching);
    await remove(pod, "?gracePeriodSeconds=0");
    await untilIs(watching, pod, "deleted");
  });

  test("after a 410 it lists again, and knows pods by their uid", async () => {
    const { hostname, port } = cluster.server;
    const proxy = await Proxy.open({ host: hostname, port: Number(port) });
    onTestFinished(() => proxy.close());
    const server = new URL(`https://127.0.0.1:${proxy.port}`);
    const watching = await follow({ server });
    const [stays, goes, replaced] = [await create(), await create(), await create()];
    for (const pod of [stays, goes, replaced]) await untilIs(watching, pod, "running");
    // It cannot see what happens now, and the API server forgets it: its memory begins where it starts.
    proxy.refuse();
    proxy.cut();
    for (const pod of [goes, replaced]) await remove(pod, "?gracePeriodSeconds=0");
    const again = await create(replaced.metadata.name);
    await cluster.killServer();
    await cluster.startServer();
    await create();
    proxy.accept();
    for (const pod of [goes, replaced]) await untilIs(watching, pod, "deleted");
    for (const pod of [stays, again]) await untilIs(watching, pod, "running");
    expect(watching.reflector.figures.lists).toBe(2);
    expect(watching.book.phaseOf(stays.metadata.uid)).toBe("running");
  });
});
