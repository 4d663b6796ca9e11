import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { packageRoot } from "../../src/service/package-root.ts";
import { findHelm, examplePod, plainObjects, renderChart } from "../deploy/objects.ts";
import { Authority } from "../support/certificates.ts";
import type { CertificateFiles } from "../support/certificates.ts";
import { until } from "../support/until.ts";
import { Admission } from "./admission.ts";
import type { Pair } from "./admission.ts";
import type { Answer, ClusterApi } from "./cluster-api.ts";
import { startMesh } from "./mesh.ts";
import { Applier } from "./objects.ts";
import { describeOnCluster } from "./on-cluster.ts";

interface Container {
  readonly name: string;
  readonly env?: readonly {
    readonly name: string;
    readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
  }[];
  readonly lifecycle?: object;
  readonly restartPolicy?: string;
  readonly startupProbe?: object;
}

interface Pod {
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly volumes?: readonly object[];
  };
}

const NAMESPACE = "agent-runtime";
const PODS = "/api/v1/namespaces/agents/pods";
const DRY_RUN = `${PODS}?dryRun=All`;
const PLAIN = plainObjects();
const EXAMPLE = examplePod();
const INJECT = { "agentruntime.dev/inject": "true" };
const ASKED = { ...INJECT, "agentruntime.dev/agent": "alice" };
/** What the Pod Security Standard wants of each container of a pod that does not say it for all of them. */
const RESTRICTED = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

await describeOnCluster("the webhook", (cluster) => {
  const folder = mkdtempSync(path.join(tmpdir(), "art-admission-"));
  const authority = new Authority();
  let files: CertificateFiles;
  let api: ClusterApi;
  let webhook: Admission;
  let count = 0;

  beforeAll(async () => {
    api = await cluster.api();
    for (const name of [NAMESPACE, "agents", "here"]) {
      await api.make("/api/v1/namespaces", { metadata: { name } });
    }
    // As docs/deploy.md makes it, and of nobody else: the API server asks for that name.
    files = authority.issue("webhook", { of: "DNS:agent-runtime-webhook.agent-runtime.svc" });
    const pair = pairOf(files);
    webhook = new Admission(api, PLAIN, { folder, namespace: NAMESPACE, ...pair });
    await webhook.start();
    await webhook.expose();
    await webhook.register();
    await untilInjects();
  });

  afterAll(() => {
    authority.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const podOf = (labels: Readonly<Record<string, string>>, more: object = {}): Pod => ({
    metadata: { name: `agent-${(count += 1)}`, labels },
    spec: { containers: [{ name: "main", image: "agent" } as Container], ...more },
  });
  const make = (pod: Pod, pods = PODS): Promise<Pod> => api.ask<Pod>("POST", pods, pod);
  const tryOut = (pod: Pod): Promise<Answer> => api.answer("POST", DRY_RUN, pod);
  const isInjected = ({ spec }: Pod): boolean =>
    spec.initContainers?.[0]?.name === "agentruntime-hook";
  /** What is registered reaches the API server's watch a moment later. */
  const untilInjects = async (): Promise<void> => {
    await until(async () => isInjected(await make(podOf(ASKED), DRY_RUN)), {
      what: "a pod with a sidecar",
    });
  };
  const untilRefused = (why: RegExp): Promise<unknown> =>
    until(
      async () => {
        const { status, body } = await tryOut(podOf(ASKED));
        return status === 500 && why.test((body as { readonly message: string }).message);
      },
      { what: `a refusal, ${why}` },
    );

  /** What was asked meanwhile. */
  async function reviewsOf(work: () => Promise<void>): Promise<Record<string, number>> {
    const before = await webhook.reviews();
    await work();
    const after = Object.entries(await webhook.reviews());
    const more = after.map(([outcome, n]) => [outcome, n - (before[outcome] ?? 0)] as const);
    return Object.fromEntries(more.filter(([, n]) => n > 0));
  }

  test("a labelled pod gets sidecar, hooks, variables and spool as by hand, and the API server keeps them", async () => {
    const byHand = podOfDocs();
    const { spec } = await make(podOf({ ...ASKED, "agentruntime.dev/container": "main" }));
    const [sidecar, ...others] = spec.initContainers!;
    expect(others).toEqual([]);
    const { name, restartPolicy, startupProbe } = byHand.spec.initContainers![0]!;
    expect(sidecar).toMatchObject({
      name,
      restartPolicy,
      startupProbe,
      image: expect.stringMatching(/^agent-runtime-state:/),
      args: expect.arrayContaining(["hook", "http://agent-runtime.agent-runtime.svc:8080"]),
      envFrom: [{ secretRef: { name: "agent-runtime-facts" } }],
      securityContext: { runAsNonRoot: true, readOnlyRootFilesystem: true },
    });
    const who = {
      ...fieldsOf(byHand.spec.initContainers![0]!),
      AGENT_CONTAINER: "metadata.labels['agentruntime.dev/container']",
    };
    expect(Object.keys(who)).toHaveLength(6);
    expect(fieldsOf(sidecar!)).toEqual(who);
    const [main, ...more] = spec.containers;
    expect(more).toEqual([]);
    expect(fieldsOf(main!)).toEqual(who);
    expect(main!.lifecycle).toMatchObject(byHand.spec.containers[0]!.lifecycle!);
    expect(spec.volumes).toEqual([
      { name: "agentruntime-spool", emptyDir: { sizeLimit: "128Mi" } },
    ]);
  });

  test.each([
    ["without the label", {}, PODS],
    ["that says false", { ...ASKED, "agentruntime.dev/inject": "false" }, PODS],
    ["of the cluster's own namespace", ASKED, "/api/v1/namespaces/kube-system/pods"],
  ])("a pod %s is left alone: nobody even asks", async (_, labels, pods) => {
    await api.make("/api/v1/namespaces", { metadata: { name: "kube-system" } });
    const reviews = await reviewsOf(async () => {
      const { spec } = await make(podOf(labels), pods);
      expect(spec.initContainers).toBeUndefined();
      expect(spec.volumes).toBeUndefined();
      expect(spec.containers).toHaveLength(1);
      expect(spec.containers[0]).not.toHaveProperty("lifecycle");
      expect(spec.containers[0]).not.toHaveProperty("env");
    });
    expect(reviews).toEqual({});
  });

  test("what it made, made again, stays as it is; a change of a pod is none of its business", async () => {
    const pod = await make(podOf(ASKED));
    const again = podOf(ASKED, pod.spec);
    const remade = await reviewsOf(async () => {
      expect((await make(again)).spec).toEqual(pod.spec);
    });
    expect(remade).toEqual({ unchanged: 1 });
    const changed = await reviewsOf(async () => {
      const labels = { "agentruntime.dev/agent": "bob" };
      const at = `${PODS}/${pod.metadata.name}`;
      const { spec } = await api.ask<Pod>("PATCH", at, { metadata: { labels } });
      expect(spec).toEqual(pod.spec);
    });
    expect(changed).toEqual({});
  });

  test("asked again about a pod that another webhook gave a container, it adds what that one lacks", async () => {
    await startMesh(api, authority.issue("mesh"));
    const labels = { ...ASKED, "test/mesh": "true" };
    const hasProxy = async (): Promise<boolean> =>
      (await make(podOf(labels), DRY_RUN)).spec.containers.length === 2;
    await until(hasProxy, { what: "a pod with a proxy" });
    const reviews = await reviewsOf(async () => {
      const { spec } = await make(podOf(labels));
      expect(spec.initContainers!.map(({ name }) => name)).toEqual(["agentruntime-hook"]);
      expect(spec.volumes).toHaveLength(1);
      expect(spec.containers.map(({ name }) => name)).toEqual(["main", "proxy"]);
      for (const container of spec.containers) {
        expect(Object.keys(fieldsOf(container))).toHaveLength(5);
        const at = (hook: string): object => ({
          httpGet: { path: `/v1/hooks/${container.name}/${hook}` },
        });
        expect(container.lifecycle).toMatchObject({
          postStart: at("postStart"),
          preStop: at("preStop"),
        });
      }
    });
    expect(reviews).toEqual({ injected: 2 });
  });

  test("a dry run gets the answer that counts, and nothing is made", async () => {
    const pod = podOf(ASKED);
    expect(isInjected(await make(pod, DRY_RUN))).toBe(true);
    expect(await api.find(`${PODS}/${pod.metadata.name}`)).toBeNull();
  });

  test("where pods are restricted the sidecar is let in by what it says itself, in the example too", async () => {
    await new Applier(api).make(PLAIN.find(({ kind }) => kind === "RuntimeClass")!);
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await api.make("/api/v1/namespaces", { metadata: { name: "restricted", labels } });
    const containers = [{ name: "main", image: "agent", securityContext: RESTRICTED }];
    for (const pod of [podOf(ASKED, { containers }), EXAMPLE as object as Pod]) {
      expect(isInjected(await make(pod, "/api/v1/namespaces/restricted/pods"))).toBe(true);
    }
  });

  test("whoever makes a pod is told what it lacks, or why there will be none", async () => {
    const { status, warning } = await tryOut(podOf(INJECT));
    expect([status, warning]).toEqual([
      201,
      expect.stringContaining("no label agentruntime.dev/agent"),
    ]);
    const refused = await tryOut(podOf({ ...ASKED, "agentruntime.dev/container": "other" }));
    expect(refused).toMatchObject({
      status: 422,
      body: { message: expect.stringMatching(/agentruntime.dev\/container is .*other.* main$/) },
    });
  });

  describe("while it is away", () => {
    const comeBack = async (): Promise<void> => {
      await webhook.kill();
      await webhook.start();
      await webhook.register();
      await untilInjects();
    };

    test("as the manifests have it, labelled pods are made without, and with all of it once it is back", async () => {
      await webhook.kill();
      onTestFinished(comeBack);
      const { spec } = await make(podOf(ASKED));
      expect(spec.initContainers).toBeUndefined();
      expect(spec.containers[0]).not.toHaveProperty("lifecycle");
      await webhook.start();
      await untilInjects();
    });

    test("one that is frozen holds a labelled pod up, and then it is made without", async () => {
      process.kill(webhook.pid, "SIGSTOP");
      onTestFinished(untilInjects);
      onTestFinished(() => void process.kill(webhook.pid, "SIGCONT"));
      expect(isInjected(await make(podOf(ASKED)))).toBe(false);
    });

    test("with failurePolicy Fail no labelled pod is made, and all others are", async () => {
      await webhook.register({ failurePolicy: "Fail" });
      onTestFinished(comeBack);
      await webhook.kill();
      await untilRefused(/failed calling webhook "inject.agentruntime.dev".*connection refused/);
      expect(isInjected(await make(podOf({})))).toBe(false);
      await webhook.start();
      await untilInjects();
      process.kill(webhook.pid, "SIGSTOP");
      await untilRefused(/inject\?timeout=5s": context deadline exceeded/);
    });
  });

  test("one with a certificate of somebody else is not believed", async () => {
    const other = new Authority();
    onTestFinished(() => other.remove());
    const { authority: stranger } = pairOf(other.issue("other"));
    await webhook.register({ failurePolicy: "Fail", authority: stranger });
    onTestFinished(async () => {
      await webhook.register();
      await untilInjects();
    });
    await untilRefused(/x509: certificate signed by unknown authority/);
  });

  test("the certificate that Helm makes is one that the API server believes", async (context) => {
    const { missing } = findHelm();
    if (missing !== undefined) context.skip(`not here: ${missing}`);
    const objects = renderChart("webhook.failurePolicy=Fail");
    const { data } = objects.find(({ metadata }) => metadata.name.endsWith("-webhook-tls"))!;
    const file = (name: string): string =>
      Buffer.from((data as Record<string, string>)[name]!, "base64").toString();
    const pair = { cert: file("tls.crt"), key: file("tls.key") };
    const at = path.join(folder, "chart");
    const ofChart = new Admission(api, objects, { folder: at, namespace: "here", ...pair });
    await ofChart.start();
    await ofChart.expose();
    await ofChart.register();
    onTestFinished(async () => {
      await webhook.register();
      await ofChart.kill();
      await untilInjects();
    });
    await until(
      async () => {
        const { injected = 0 } = await ofChart.reviews();
        return isInjected(await make(podOf(ASKED), DRY_RUN)) && injected > 0;
      },
      { what: "a pod with a sidecar" },
    );
  });
});

function pairOf(files: CertificateFiles): Pair {
  const [cert, key, authority] = [files.cert, files.key, files.authority].map((file) =>
    readFileSync(file, "utf8"),
  );
  return { cert: cert!, key: key!, authority: authority! };
}

/** The variables of a container that say where they are from. */
function fieldsOf({ env = [] }: Container): Record<string, string> {
  return Object.fromEntries(
    env.flatMap(({ name, valueFrom }) =>
      valueFrom === undefined ? [] : [[name, valueFrom.fieldRef.fieldPath] as const],
    ),
  );
}

/** What docs/pods.md has for those who write it by hand. */
function podOfDocs(): Pod {
  const page = readFileSync(path.join(packageRoot(), "docs", "pods.md"), "utf8");
  const [, block] = /## Hooks[^]*?```yaml\n(spec:[^`]+)```/.exec(page)!;
  return parse(block!) as Pod;
}
