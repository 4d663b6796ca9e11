import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { run } from "../cli/fake-terminal.ts";
import { KubernetesSchema } from "./kubernetes-schema.ts";
import { findKubernetesSchema, plainObjects } from "./objects.ts";
import type { KubernetesObject } from "./objects.ts";

interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly securityContext: object;
  readonly ports?: readonly { readonly name: string }[];
  readonly [probe: string]: unknown;
}

const OBJECTS = plainObjects();
/** As the Secrets have it. */
const SECRETS = {
  SUPABASE_DB_URL: "postgres://a:b@main:5432/postgres",
  AGENT_RUNTIME_AUTH_TOKENS: '[{"name":"a","token":"0123456789abcdef","role":"writer"}]',
  AGENT_RUNTIME_TOKEN: "0123456789abcdef",
};

const named = (kind: string, name: string): KubernetesObject => {
  const found = OBJECTS.find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
};
const workloads = OBJECTS.filter(({ kind }) => ["Deployment", "DaemonSet"].includes(kind));
const containersOf = ({ spec }: KubernetesObject): readonly Container[] =>
  spec.template.spec.containers as Container[];
const containers = workloads.flatMap(containersOf);
const argsOf = (name: string): readonly string[] =>
  containers.find((each) => each.name === name)!.args!;

test("there is what a cluster needs of all parts", () => {
  const kinds = OBJECTS.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  expect(kinds).toEqual(
    expect.arrayContaining([
      "Namespace agent-runtime",
      "Deployment agent-runtime",
      "PodDisruptionBudget agent-runtime",
      "DaemonSet agent-runtime-captor",
      "Deployment agent-runtime-reflector",
      "ClusterRole agent-runtime-reflector",
      "Deployment agent-runtime-webhook",
      "MutatingWebhookConfiguration agent-runtime-webhook",
      "NetworkPolicy agent-runtime",
      "NetworkPolicy agent-runtime-captor",
      "NetworkPolicy agent-runtime-reflector",
      "NetworkPolicy agent-runtime-webhook",
      "RuntimeClass kata",
      "StatefulSet agent-runtime-example-agent",
    ]),
  );
});

test("only the reflector may ask the API server, and only what it asks", () => {
  const roles = OBJECTS.filter(({ kind }) => kind.endsWith("Role"));
  expect(roles.map(({ metadata, rules }) => [metadata.name, rules])).toEqual([
    [
      "agent-runtime-reflector",
      [
        { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] },
        {
          apiGroups: ["agents.x-k8s.io"],
          resources: ["sandboxes"],
          verbs: ["get", "list", "watch"],
        },
      ],
    ],
  ]);
  const admitted = workloads.filter(({ spec }) => spec.template.spec.automountServiceAccountToken);
  expect(admitted.map(({ metadata }) => metadata.name)).toEqual(["agent-runtime-reflector"]);
});

test.each(workloads.map((each) => [each.metadata.name, each] as const))(
  "%s is probed, bounded and restricted",
  (_, workload) => {
    const pod = workload.spec.template.spec as Record<string, unknown>;
    for (const field of ["hostNetwork", "hostPID", "hostIPC"])
      expect(pod).not.toHaveProperty(field);
    // They would come as variables whose names begin like those of settings.
    expect(pod).toMatchObject({ enableServiceLinks: false });
    const [container] = containersOf(workload);
    expect(container).toMatchObject({
      resources: {
        requests: { cpu: expect.any(String), memory: expect.any(String) },
        limits: { memory: expect.any(String) },
      },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      },
      readinessProbe: { httpGet: { path: "/readyz" } },
      livenessProbe: { httpGet: { path: "/healthz" } },
    });
    const isCaptor = container!.name === "captor"; // containerd's socket is root's
    expect(pod["securityContext"]).toMatchObject(
      isCaptor ? { runAsUser: 0 } : { runAsNonRoot: true, runAsUser: 65_532 },
    );
    const ports = container!.ports!.map(({ name }) => name);
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
      const { httpGet } = (container![probe] ?? { httpGet: null }) as { httpGet: { port: string } };
      if (httpGet !== null) expect(ports).toContain(httpGet.port);
    }
  },
);

test("who selects pods by labels or by the names of ports finds them", () => {
  const templates = workloads.map(({ spec }) => spec.template);
  const matching = (
    labels: Readonly<Record<string, string>>,
  ): { spec: { containers: Container[] } }[] =>
    templates.filter(({ metadata }) =>
      Object.entries(labels).every(([name, value]) => metadata.labels[name] === value),
    );
  const services = OBJECTS.filter(({ kind }) => kind === "Service");
  const policies = OBJECTS.filter(({ kind }) => kind === "NetworkPolicy");
  const budgets = OBJECTS.filter(({ kind }) => kind === "PodDisruptionBudget");
  const selections = [
    ...services.map(({ spec }) => ({ labels: spec.selector, ports: spec.ports })),
    ...policies.map(({ spec }) => ({
      labels: spec.podSelector.matchLabels,
      ports: spec.ingress.flatMap(({ ports }: { ports: object[] }) => ports),
    })),
    ...budgets.map(({ spec }) => ({ labels: spec.selector.matchLabels, ports: [] })),
    ...workloads.map(({ spec }) => ({ labels: spec.selector.matchLabels, ports: [] })),
  ];
  for (const { labels, ports } of selections) {
    const [pod, ...others] = matching(labels);
    expect([labels, others]).toEqual([labels, []]);
    const known = pod!.spec.containers.flatMap((each) => each.ports!.map(({ name }) => name));
    for (const { targetPort, port } of ports) expect(known).toContain(targetPort ?? port);
  }
});

describe("the programs take what they are started with:", () => {
  function fileOf(configMap: string, changes: (text: string) => string = (text) => text): string {
    const folder = mkdtempSync(join(tmpdir(), "art-deploy-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "agent_runtime.yaml");
    writeFileSync(file, changes(named("ConfigMap", configMap).data["agent_runtime.yaml"]));
    return file;
  }
  const inPlace = (args: readonly string[], file: string): string[] =>
    args.map((arg) => (arg === "/etc/agent-runtime/agent_runtime.yaml" ? file : arg));

  test("the service", async () => {
    const args = inPlace(argsOf("service"), fileOf("agent-runtime"));
    const { AGENT_RUNTIME_TOKEN: _, ...env } = SECRETS;
    const { code, stdout, stderr } = await run([...args, "--print-config", "--json"], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain('"0.0.0.0:8080"');
  });

  test("the captor", async () => {
    const env = { NODE_NAME: "node-1", AGENT_RUNTIME_TOKEN: SECRETS.AGENT_RUNTIME_TOKEN };
    const nowhere = ["--captor-containerd", "/nowhere", "--once", "--print"];
    const { code, stderr } = await run([...argsOf("captor"), ...nowhere], { env });
    expect(stderr).toMatch(/containerd at \/nowhere does not answer/);
    expect(code).toBe(5);
  });

  test("the webhook", async () => {
    const args = inPlace(argsOf("webhook"), fileOf("agent-runtime-webhook"));
    const { code, stderr } = await run(args);
    // All of it was taken: what lacks here is the Secret's volume.
    expect(stderr).toMatch(/webhook.certFile: ENOENT.*\/tls\/tls.crt/);
    expect(code).toBe(2);
  });

  test("the reflector", async () => {
    const folder = mkdtempSync(join(tmpdir(), "art-deploy-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    // It has read its arguments, and finds that it is in no pod.
    const { code, stderr } = await run([...argsOf("reflector"), "--spool", folder]);
    expect(stderr).toMatch(/this is no pod of a cluster/);
    expect(code).toBe(2);
  });
});

test("they are objects as Kubernetes describes them", (context) => {
  const found = findKubernetesSchema();
  if (found.missing !== undefined) {
    context.skip(`not here: ${found.missing}`);
    return;
  }
  const schema = new KubernetesSchema(found.file);
  expect(OBJECTS.flatMap((object) => schema.faultsOf(object))).toEqual([]);
  // It sees what is wrong.
  const wrong = structuredClone(named("Deployment", "agent-runtime")) as Record<string, any>;
  wrong["spec"].replicas = "two";
  wrong["spec"].template.spec.containers[0].readynessProbe = {};
  delete wrong["spec"].selector;
  expect(schema.faultsOf(wrong as KubernetesObject)).toEqual([
    "Deployment agent-runtime.spec: selector is missing",
    'Deployment agent-runtime.spec.replicas: "two" is no integer',
    "Deployment agent-runtime.spec.template.spec.containers[0]: there is no field readynessProbe",
  ]);
});
