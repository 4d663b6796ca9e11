import { beforeAll, expect, onTestFinished, test } from "vitest";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { Finalizers, stripFinalizers } from "../../src/reflector/finalizers.ts";
import { FINALIZER } from "../../src/reflector/pod-object.ts";
import type { PodObject } from "../../src/reflector/pod-object.ts";
import { silentLog } from "../../src/service/log.ts";
import { until } from "../support/until.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { NODE } from "./cluster.ts";
import { describeOnCluster } from "./on-cluster.ts";
import { makeReflectorAccount } from "./role.ts";
import { watch } from "./watching.ts";
import type { Watching } from "./watching.ts";

const PODS = "/api/v1/namespaces/agents/pods";

await describeOnCluster("finalizers", (cluster) => {
  let api: ClusterApi;
  let token: string;
  let client: KubernetesClient;
  let pods = 0;

  beforeAll(async () => {
    api = await cluster.api();
    ({ token } = await makeReflectorAccount(api, ["patch"]));
    const { server } = cluster;
    const authority = await cluster.authority();
    client = new KubernetesClient({ server, authority, token: () => Promise.resolve(token) });
  });

  const hold = async (
    isCommitted: (watching: Watching, podUid: string) => boolean,
  ): Promise<{ readonly watching: Watching; readonly finalizers: Finalizers }> => {
    const finalizers = new Finalizers({
      client,
      isCommitted: (podUid) => Promise.resolve(isCommitted(watching, podUid)),
      log: silentLog,
      pauseMs: 20,
    });
    const watching = await watch(cluster, { token, onObject: (pod) => finalizers.see(pod) });
    finalizers.start();
    onTestFinished(async () => {
      await finalizers.stop();
      await watching.stop();
    });
    return { watching, finalizers };
  };

  const create = (finalizers: readonly string[] = []): Promise<PodObject> => {
    const name = `agent-${(pods += 1)}`;
    return api.ask<PodObject>("POST", PODS, {
      metadata: { name, finalizers, labels: { "agentruntime.dev/agent": name } },
      spec: { nodeName: NODE, containers: [{ name: "main", image: "agent" }] },
    });
  };

  const now = (pod: PodObject): Promise<PodObject | null> =>
    api.find<PodObject>(`${PODS}/${pod.metadata.name}`);

  const untilHeld = (pod: PodObject): Promise<unknown> =>
    until(async () => (await now(pod))?.metadata.finalizers?.includes(FINALIZER), {
      what: "the finalizer",
    });

  test("a pod stays until its end is committed, and then goes", async () => {
    let isCommitting = false;
    const { watching, finalizers } = await hold(
      ({ book }, podUid) => isCommitting && book.phaseOf(podUid) === "deleted",
    );
    const pod = await create(["test/other"]);
    await untilHeld(pod);
    await api.ask("DELETE", `${PODS}/${pod.metadata.name}`);
    await until(() => watching.book.phaseOf(pod.metadata.uid) === "deleted", { what: "its end" });
    const stays = await now(pod);
    expect(stays?.metadata.finalizers).toEqual(["test/other", FINALIZER]);
    isCommitting = true;
    // Those of others are left alone.
    await until(async () => (await now(pod))?.metadata.finalizers?.length === 1);
    expect((await now(pod))?.metadata.finalizers).toEqual(["test/other"]);
    await api.ask("PATCH", `${PODS}/${pod.metadata.name}`, { metadata: { finalizers: [] } });
    await until(async () => (await now(pod)) === null, { what: "no pod" });
    expect(finalizers.due).toBe(0);
  });

  test("what ended while nobody looked is told by who comes next, and goes", async () => {
    const pod = await create([FINALIZER]);
    await api.ask("DELETE", `${PODS}/${pod.metadata.name}?gracePeriodSeconds=0`);
    expect(await now(pod)).not.toBeNull();
    const { watching } = await hold(({ book }, podUid) => book.phaseOf(podUid) === "deleted");
    await until(async () => (await now(pod)) === null, { what: "no pod" });
    expect(watching.book.phaseOf(pod.metadata.uid)).toBe("deleted");
  });

  test("strip takes it from all pods, also from those that wait for it", async () => {
    const [runs, waits] = [await create([FINALIZER]), await create([FINALIZER])];
    await api.ask("DELETE", `${PODS}/${waits.metadata.name}?gracePeriodSeconds=0`);
    const { signal } = new AbortController();
    expect(await stripFinalizers(client, PODS, signal)).toBe(2);
    expect(await now(waits)).toBeNull();
    expect((await now(runs))?.metadata.finalizers).toBeUndefined();
    expect(await stripFinalizers(client, PODS, signal)).toBe(0);
  });
});
