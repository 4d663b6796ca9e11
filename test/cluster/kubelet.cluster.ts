import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { IMAGE } from "../../dev/services/containerd.ts";
import type { State } from "../../src/state/state.ts";
import { examplePod } from "../deploy/objects.ts";
import { until } from "../support/until.ts";
import { startAllPrograms } from "./all-programs.ts";
import type { AllPrograms } from "./all-programs.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { describeOnNode } from "./on-node.ts";
import { REAL_NODE } from "./own-node.ts";

interface Pod {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly deletionTimestamp?: string;
  };
  readonly status?: {
    readonly containerStatuses?: readonly { readonly containerID?: string }[];
  };
}

/** The document of a pod's state, and what of it is asked here. */
interface PodData {
  readonly reason: string | null;
  readonly exitCode: number | null;
  readonly ready: boolean;
  readonly desired: string;
  readonly containers: readonly Container[];
  readonly sandbox: Container;
}

interface Container {
  readonly name: string;
  readonly attempts: readonly {
    readonly id: string;
    readonly exit: { readonly source: string; readonly exitCode: number | null } | null;
  }[];
}

interface Wish {
  readonly name?: string;
  /** Of its main container. */
  readonly container?: object;
  /** Of the pod. */
  readonly [field: string]: unknown;
}

const shell = (script: string): readonly string[] => ["/bin/sh", "-c", script];
/** Ends well when it is told to. */
const SERVE = shell("trap 'exit 0' TERM; while :; do sleep 0.05; done");

const mainOf = ({ containers }: PodData): Container["attempts"] =>
  containers.find(({ name }) => name === "main")?.attempts ?? [];

await describeOnNode("pods of a kubelet", (whole) => {
  const { cluster, node } = whole;
  let programs: AllPrograms;
  let api: ClusterApi;
  let pods: string;
  let count = 0;

  beforeAll(async () => {
    api = await cluster.api();
    const runtime = { metadata: { name: "kata" }, handler: "kata" };
    await api.make("/apis/node.k8s.io/v1/runtimeclasses", runtime);
    programs = await startAllPrograms(whole);
    pods = `/api/v1/namespaces/${programs.namespace}/pods`;
  });
  afterAll(() => programs.stop());
  beforeEach(async () => {
    await api.ask("DELETE", `${pods}?gracePeriodSeconds=0`);
  });

  /** A pod as people write it: what tells of it, the webhook puts in. */
  function create({
    name = `agent-${(count += 1)}`,
    container = {},
    ...spec
  }: Wish = {}): Promise<Pod> {
    const main = { name: "main", image: IMAGE, imagePullPolicy: "Never", command: SERVE };
    return api.ask<Pod>("POST", pods, {
      metadata: {
        name,
        labels: {
          "agentruntime.dev/inject": "true",
          "agentruntime.dev/agent": name,
          "agentruntime.dev/container": "main",
        },
      },
      spec: {
        nodeName: REAL_NODE,
        runtimeClassName: "kata",
        terminationGracePeriodSeconds: 10,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        containers: [{ ...main, ...container }],
        ...spec,
      },
    });
  }

  const remove = ({ metadata }: Pod, query = ""): Promise<unknown> =>
    api.ask("DELETE", `${pods}/${metadata.name}${query}`);
  const find = ({ metadata }: Pod): Promise<Pod | null> =>
    api.find<Pod>(`${pods}/${metadata.name}`);
  const stateOf = (id: string): Promise<State> =>
    programs.client.getState(id, { consistency: "strong" });

  /** The pod's document once its state is like that; throws with what the cluster and the state say instead. */
  async function untilTold(
    pod: Pod,
    what: string,
    is: (phase: string, data: PodData) => boolean,
  ): Promise<PodData> {
    const id = `pod:${pod.metadata.uid}`;
    const found = async (): Promise<PodData | null> => {
      const { phase, data } = await stateOf(id);
      return is(phase!, data as unknown as PodData) ? (data as unknown as PodData) : null;
    };
    try {
      return await until(found, { what: `${pod.metadata.name} ${what}` });
    } catch (error) {
      const { phase, data } = await stateOf(id);
      const said = JSON.stringify((await find(pod))?.status);
      throw new Error(`${phase} ${JSON.stringify(data)}\n${said}`, { cause: error });
    }
  }
  const untilIn = (pod: Pod, ...phases: readonly string[]): Promise<PodData> =>
    untilTold(pod, phases.join(" or "), (phase) => phases.includes(phase));
  const untilReady = (pod: Pod): Promise<PodData> =>
    untilTold(pod, "ready", (phase, { ready }) => phase === "running" && ready);

  const untilAgentIn = (pod: Pod, phase: string): Promise<unknown> =>
    until(async () => (await stateOf(pod.metadata.name)).phase === phase, {
      what: `agent ${pod.metadata.name} ${phase}`,
    });

  /** Each phase that a state was in, one after the other, and who told of what led there. */
  async function lifeOf(id: string): Promise<{ phases: readonly string[]; causes: string }> {
    const { items } = await programs.client.history(id, { limit: 200 });
    const phases = items.map(({ phase }) => phase!).toReversed();
    return {
      phases: phases.filter((phase, index) => phase !== phases[index - 1]),
      causes: items.map(({ cause }) => cause).join("; "),
    };
  }

  test("from its admission to its end it is told by all who see it, as one life", async () => {
    const pod = await create();
    await untilReady(pod);
    const [status] = (await find(pod))!.status!.containerStatuses!;
    await remove(pod);
    const gone = await untilIn(pod, "deleted");
    // Runtime and API server speak of one run, by the runtime's id.
    expect(mainOf(gone)).toMatchObject([
      { id: status!.containerID!.replace("containerd://", ""), exit: { source: "kata" } },
    ]);
    expect(gone).toMatchObject({ reason: "Exited", exitCode: 0, desired: "deleted" });
    const { phases, causes } = await lifeOf(`pod:${pod.metadata.uid}`);
    expect(phases.slice(-5)).toEqual(["creating", "running", "stopping", "stopped", "deleted"]);
    for (const told of ["kata: exit of main", "hook: postStart of main", "hook: preStop of main"]) {
      expect(causes).toContain(told);
    }
    const agent = await lifeOf(pod.metadata.name);
    expect(agent.phases).toEqual(["registered", "starting", "idle", "draining", "stopped"]);
  });

  test("one that ends by itself has failed with its code", async () => {
    const command = shell("sleep 0.5; exit 3");
    const pod = await create({ restartPolicy: "Never", container: { command } });
    expect(await untilIn(pod, "failed")).toMatchObject({ reason: "Error", exitCode: 3 });
    await untilAgentIn(pod, "failed");
    await remove(pod);
    expect(await untilIn(pod, "deleted")).toMatchObject({ reason: "Error", exitCode: 3 });
  });

  test("a crash loop: each run with its end, and that the next one waits", async () => {
    const pod = await create({ container: { command: shell("sleep 0.5; exit 4") } });
    const isWaiting = (phase: string, data: PodData): boolean =>
      phase === "creating" && data.reason === "CrashLoopBackOff" && mainOf(data).length >= 3;
    const waits = await untilTold(pod, "waits for its fourth run", isWaiting);
    for (const { exit } of mainOf(waits)) expect(exit).toMatchObject({ exitCode: 4 });
  });

  test("a probe that fails: one run is stopped, and the next one lives", async () => {
    const command = ["/bin/sh", "-c", "exit $(( $(cut -d. -f1 /proc/uptime) > 0 ))"];
    const livenessProbe = { exec: { command }, periodSeconds: 2, failureThreshold: 1 };
    const pod = await create({ container: { livenessProbe } });
    const first = await untilReady(pod);
    const isNext = (phase: string, data: PodData): boolean =>
      phase === "running" && data.ready && mainOf(data).length > mainOf(first).length;
    const { phases } = await untilTold(pod, "runs again", isNext).then(() =>
      lifeOf(`pod:${pod.metadata.uid}`),
    );
    expect(phases.join(" ")).toContain("running stopping stopped creating running");
  });

  test("out of memory", async () => {
    const command = shell("a=x; while :; do a=$a$a; done");
    const container = { command, resources: { limits: { memory: "20Mi" } } };
    const pod = await create({ restartPolicy: "Never", container });
    expect(await untilIn(pod, "failed")).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
  });

  test("an eviction by its kubelet: it has more on disk than it may", async () => {
    const write = "dd if=/dev/zero of=/data/file bs=1000000 count=5; while :; do sleep 0.05; done";
    const pod = await create({
      container: { command: shell(write), volumeMounts: [{ name: "data", mountPath: "/data" }] },
      volumes: [{ name: "data", emptyDir: { sizeLimit: "1Mi" } }],
    });
    expect(await untilIn(pod, "failed")).toMatchObject({ reason: "Evicted" });
  });

  test("a drain of its node lets it stop in good order", async () => {
    const pod = await create();
    await untilReady(pod);
    const { name } = pod.metadata;
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name } };
    await api.ask("POST", `${pods}/${name}/eviction`, eviction);
    const gone = await untilIn(pod, "deleted");
    expect(gone).toMatchObject({ reason: "EvictionByEvictionAPI", exitCode: 0 });
    const { phases } = await lifeOf(`pod:${pod.metadata.uid}`);
    expect(phases.slice(-4)).toEqual(["running", "stopping", "stopped", "deleted"]);
    const agent = await lifeOf(name);
    expect(agent.phases.slice(-3)).toEqual(["idle", "draining", "stopped"]);
  });

  test("a sandbox that crashes has failed, and runs again in another one", async () => {
    const pod = await create();
    const { sandbox } = await untilReady(pod);
    await node.containerd.killShim(sandbox.attempts[0]!.id);
    const isNext = (phase: string, data: PodData): boolean =>
      phase === "running" && data.ready && data.sandbox.attempts.length === 2;
    await untilTold(pod, "runs in another sandbox", isNext);
    const { phases } = await lifeOf(`pod:${pod.metadata.uid}`);
    expect(phases.slice(-4)).toEqual(["running", "failed", "creating", "running"]);
  });

  test("a kubelet that is killed and comes back changes nothing of its pods", async () => {
    const pod = await create();
    await untilReady(pod);
    await node.kill();
    await node.start();
    await remove(pod);
    await untilIn(pod, "deleted");
    const { phases } = await lifeOf(`pod:${pod.metadata.uid}`);
    expect(phases.slice(-4)).toEqual(["running", "stopping", "stopped", "deleted"]);
  });

  test("of a node that is lost nobody knows, until it comes back", async () => {
    const unreachable = { key: "node.kubernetes.io/unreachable", operator: "Exists" };
    const patience = { ...unreachable, effect: "NoExecute", tolerationSeconds: 1 };
    const stays = await create();
    const goes = await create({ tolerations: [patience] });
    await untilReady(stays);
    await untilReady(goes);
    await node.freeze();
    try {
      for (const pod of [stays, goes]) {
        expect(await untilIn(pod, "unknown")).toMatchObject({ reason: "NodeLost" });
        await untilAgentIn(pod, "unreachable");
      }
      // The controllers of the cluster delete it, and nobody hears of it.
      await untilTold(goes, "is to go", (phase, data) => {
        return phase === "unknown" && data.desired === "deleted";
      });
    } finally {
      await node.thaw();
    }
    await untilReady(stays);
    await untilAgentIn(stays, "idle");
    expect(await untilIn(goes, "deleted")).toMatchObject({ reason: "DeletionByTaintManager" });
    await node.untilIs("True");
  });

  test("forced away while its node is frozen: it is deleted, and another one under its name lives", async () => {
    const pod = await create({ name: "same" });
    await untilReady(pod);
    await node.freeze();
    const again = await (async () => {
      try {
        await remove(pod, "?gracePeriodSeconds=0");
        await untilIn(pod, "deleted");
        return await create({ name: "same" });
      } finally {
        await node.thaw();
      }
    })();
    await untilReady(again);
    const { data } = await stateOf("same");
    expect(data).toMatchObject({ pod: { uid: again.metadata.uid, phase: "running" } });
  });

  test("the agent of the example: its pod is deleted amid a task, and its next pod finishes it", async () => {
    const first = await createExample();
    const { id } = await programs.client.tasks.push("example", { input: { steps: 12 } });
    const said: string[] = [];
    const hasSaid = async (pod: Pod, text: string): Promise<boolean> => {
      said[pod === first ? 0 : 1] = await node.logOf(pod, "main");
      return said.some((log) => log.includes(text));
    };
    await until(() => hasSaid(first, `${id}: step 3 of 12`), { what: "the third step" });
    await remove(first);
    expect(await untilIn(first, "deleted")).toMatchObject({ reason: "Exited", exitCode: 0 });
    const given = await programs.client.tasks.get(id);
    expect(given).toMatchObject({ phase: "ready", attempt: 1 });
    const second = await createExample();
    await until(() => hasSaid(second, `${id}: step 12 of 12`), { what: "the last step" });
    await until(async () => (await programs.client.tasks.get(id)).phase === "completed");
    // Each step was done once, by one of them.
    const steps = said.flatMap((log) =>
      [...log.matchAll(/step (\d+) of 12/g)].map(([, step]) => Number(step)),
    );
    expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  /** The pod of the manifests, on this node and of the image that it has. */
  function createExample(): Promise<Pod> {
    const { metadata, spec } = examplePod();
    const [main] = spec.containers;
    const url = { name: "AGENT_RUNTIME_URL", value: programs.url };
    const env = main.env.map((variable) => (variable.name === url.name ? url : variable));
    const container = { ...main, env, image: whole.image, imagePullPolicy: "Never" };
    const own = { ...spec, nodeName: REAL_NODE, containers: [container] };
    return api.ask<Pod>("POST", pods, { metadata, spec: own });
  }
});
