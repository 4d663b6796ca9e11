import { beforeAll, describe, expect, test } from "vitest";
import { findHelm, plainObjects, renderChart } from "../deploy/objects.ts";
import type { KubernetesObject } from "../deploy/objects.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { describeOnCluster } from "./on-cluster.ts";
import { Applier } from "./objects.ts";

const PLAIN = plainObjects();
/** Of each variant of the chart. */
const VARIANTS: readonly (readonly string[])[] = [
  [],
  ["example.enabled=true", "runtimeClass.create=true", "webhook.failurePolicy=Fail"],
  ["facts.to=rocketmq", "facts.namespace=a", "reflector.sweep=true", "reflector.finalizer=true"],
  ["reflector.podNamespace=agents", "imagePullSecrets[0].name=registry", "reflector.replicas=1"],
  ["reflector.sandboxes=false", "captor.priorityClassName=", "networkPolicy.enabled=false"],
];
interface Container {
  [field: string]: unknown;
  readonly ports: { containerPort: number }[];
}

interface WorkloadSpec {
  readonly selector: { readonly matchLabels: Record<string, string> };
  readonly template: {
    readonly metadata: object;
    readonly spec: { readonly containers: readonly Container[] };
  };
}

const NAMESPACES = ["agent-runtime", "here", "agents"];

await describeOnCluster("what is in deploy", (cluster) => {
  let api: ClusterApi;
  let applier: Applier;

  beforeAll(async () => {
    api = await cluster.api();
    applier = new Applier(api);
    for (const name of NAMESPACES) await api.make("/api/v1/namespaces", { metadata: { name } });
    // Of pods it wants the class of their runtime to be there.
    await applier.make(PLAIN.find(({ kind }) => kind === "RuntimeClass")!);
  });

  const inNamespace = (object: KubernetesObject, namespace: string): KubernetesObject => ({
    ...object,
    metadata: { ...object.metadata, namespace: object.metadata.namespace ?? namespace },
  });

  /** What the API server has against each of them. */
  async function faultsOf(
    objects: readonly KubernetesObject[],
    namespace: string,
  ): Promise<readonly string[]> {
    const faults: string[] = [];
    for (const object of objects) {
      const { status, body } = await applier.dryRun(inNamespace(object, namespace));
      // A class and a namespace that are there by now.
      const isThere = status === 409 && ["Namespace", "RuntimeClass"].includes(object.kind);
      const said = (body as { readonly message?: string }).message ?? "";
      if (status >= 300 && !isThere) {
        faults.push(`${object.kind} ${object.metadata.name}: ${status} ${said}`);
      }
    }
    return faults;
  }

  test("the API server takes all of the plain manifests, and finds no field that it does not know", async () => {
    expect(PLAIN.length).toBeGreaterThan(15);
    expect(await faultsOf(PLAIN, "agent-runtime")).toEqual([]);
    // It was asked, and no more.
    const service = PLAIN.find(({ kind }) => kind === "Deployment")!;
    expect(await applier.find(inNamespace(service, "agent-runtime"))).toBeNull();
  });

  test("it sees what is wrong with one", async () => {
    const wrong = (change: (spec: WorkloadSpec) => void): KubernetesObject => {
      const copy = structuredClone(PLAIN.find(({ kind }) => kind === "Deployment")!);
      change(copy.spec as WorkloadSpec);
      return copy;
    };
    const faults = await faultsOf(
      [
        wrong(({ template }) => (template.spec.containers[0]!["readynessProbe"] = {})),
        wrong(({ template }) => (template.spec.containers[0]!.ports[0]!.containerPort = 99_999)),
        wrong(({ selector }) => (selector.matchLabels["other"] = "label")),
      ],
      "agent-runtime",
    );
    expect(faults).toEqual([
      expect.stringMatching(
        /: 400 .*unknown field "spec.template.spec.containers\[0\].readynessPro/,
      ),
      expect.stringMatching(/: 422 .*containerPort: Invalid value: 99999/),
      expect.stringMatching(/: 422 .*`selector` does not match template `labels`/),
    ]);
  });

  const workloads = PLAIN.filter(({ kind }) => ["Deployment", "DaemonSet"].includes(kind));
  test.each(workloads.map((each) => [each.metadata.name, each] as const))(
    "where pods are restricted, those of %s are let in, unless it needs the node",
    async (name, { spec }) => {
      const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
      await api.make("/api/v1/namespaces", { metadata: { name: "restricted", labels } });
      const { metadata, spec: pod } = (spec as WorkloadSpec).template;
      const { status, body } = await applier.dryRun({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...metadata, name, namespace: "restricted" },
        spec: pod,
      });
      const { message = "" } = body as { readonly message?: string };
      if (name.endsWith("-captor")) {
        expect([status, message]).toEqual([403, expect.stringContaining("hostPath")]);
      } else expect([status, message]).toEqual([201, ""]);
    },
  );

  describe("by Helm", () => {
    const { missing } = findHelm();
    const suite = (): void => {
      test.each(VARIANTS.map((values) => [values.join() || "nothing", values] as const))(
        "the API server takes all of the chart with %s said",
        async (_, values) => {
          const objects = renderChart(...values);
          expect(objects.length).toBeGreaterThan(10);
          expect(await faultsOf(objects, "here")).toEqual([]);
        },
      );
    };
    const skipped = (): void =>
      test("has all that it runs on", (context) => context.skip(`not here: ${missing}`));
    if (missing === undefined) suite();
    else skipped();
  });
});
