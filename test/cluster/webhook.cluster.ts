import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import { FakeTerminal } from "../cli/fake-terminal.ts";
import { SIDECAR } from "../../src/webhook/sidecar.ts";
import { plainObjects } from "../deploy/objects.ts";
import type { KubernetesObject } from "../deploy/objects.ts";
import { Authority } from "../support/certificates.ts";
import { until } from "../support/until.ts";
import type { Answer, ClusterApi } from "./cluster-api.ts";
import { describeOnCluster } from "./on-cluster.ts";

const PODS = "/api/v1/namespaces/agents/pods";
const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const INJECT = { "agentruntime.dev/inject": "true", "agentruntime.dev/agent": "planner" };

/** As the manifests register it. */
const registered = plainObjects().find(({ kind }) => kind === "MutatingWebhookConfiguration")!;

interface Webhook {
  readonly clientConfig: { readonly service: { readonly path: string } };
}

interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly env?: readonly { readonly name: string }[];
  readonly lifecycle?: Readonly<Record<string, { readonly httpGet?: { readonly path: string } }>>;
}

interface Pod {
  readonly metadata: { readonly name: string; readonly labels?: object };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly volumes?: readonly { readonly name: string }[];
  };
}

interface Registration {
  readonly name?: string;
  readonly at?: string;
  readonly failurePolicy?: "Fail";
}

await describeOnCluster("the webhook, asked by an API server", (cluster) => {
  let api: ClusterApi;
  let authority: Authority;
  let terminal: FakeTerminal;
  let running: Promise<number>;
  let url: string;
  let statusUrl: string;
  let count = 0;

  beforeAll(async () => {
    api = await cluster.api();
    await api.make("/api/v1/namespaces", { metadata: { name: "agents" } });
    authority = new Authority();
    const { cert, key } = authority.issue("webhook");
    terminal = new FakeTerminal();
    running = runProgram(
      [
        "webhook",
        "--webhook-image=agent-runtime-state",
        "--webhook-listen=127.0.0.1:0",
        "--webhook-status-listen=127.0.0.1:0",
        `--webhook-cert-file=${cert}`,
        `--webhook-key-file=${key}`,
      ],
      terminal,
    );
    const told = await until(() => / at (\S+), status at (\S+)\n/.exec(terminal.stdout.text));
    [url, statusUrl] = told.slice(1) as [string, string];
  });
  afterAll(async () => {
    terminal.interrupt();
    await running;
    authority.remove();
  });
  afterEach(async () => {
    await api.ask("DELETE", CONFIGURATIONS);
  });

  /** The registration of the manifests, but for where the webhook is: not behind a Service here. */
  async function register(how: Registration = {}): Promise<void> {
    const { name = "ours", at = url, ...other } = how;
    const caBundle = readFileSync(join(authority.folder, "ca.pem")).toString("base64");
    const [webhook] = registered.webhooks as [Webhook];
    const { path } = webhook.clientConfig.service;
    const clientConfig = { url: new URL(path, at).href, caBundle };
    const own: KubernetesObject = {
      ...registered,
      metadata: { ...registered.metadata, name },
      webhooks: [{ ...webhook, ...other, clientConfig }],
    };
    await api.make(CONFIGURATIONS, own);
  }

  const make = (labels: object, more: object = {}): Promise<Answer> =>
    api.answer("POST", PODS, {
      metadata: { name: `pod-${(count += 1)}`, labels },
      spec: { containers: [{ name: "main", image: "agent" }], ...more },
    });

  /** An API server hears of a registration a moment after it was made. */
  const untilInjected = (): Promise<Pod> =>
    until(
      async () => {
        const { status, body } = await make(INJECT);
        expect(status, JSON.stringify(body)).toBe(201);
        return sidecarsOf(body as Pod) > 0 ? (body as Pod) : null;
      },
      { what: "a pod with the sidecar" },
    );

  test("a pod that is labelled for it gets sidecar, hooks and variables; another one stays as it is", async () => {
    await register();
    const { spec } = await untilInjected();
    expect(spec.initContainers).toMatchObject([{ name: SIDECAR, restartPolicy: "Always" }]);
    const [main] = spec.containers;
    expect(main!.lifecycle!["postStart"]!.httpGet!.path).toMatch(/postStart/);
    expect(main!.lifecycle!["preStop"]!.httpGet!.path).toMatch(/preStop/);
    expect(main!.env!.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["POD_UID", "POD_NAME", "POD_NAMESPACE"]),
    );
    for (const labels of [{}, { ...INJECT, "agentruntime.dev/inject": "false" }]) {
      const other = (await make(labels)).body as Pod;
      expect(other.spec.initContainers).toBeUndefined();
      expect(other.spec.containers[0]).not.toHaveProperty("lifecycle");
    }
  });

  test("one that it was asked about twice, and one made after another's likeness, get nothing twice", async () => {
    await register({ name: "first" });
    await register({ name: "second" });
    const { spec } = await untilInjected();
    // The second registration asks about what the first one's answer made of it.
    await until(async () => (await unchanged()) > 0 || (await untilInjected(), false));
    const { body } = await make(INJECT, { ...spec, nodeName: undefined });
    const again = (body as Pod).spec;
    expect(sidecarsOf(body as Pod)).toBe(1);
    expect(again.initContainers).toEqual(spec.initContainers);
    expect(again.containers).toEqual(spec.containers);
    expect(again.volumes).toEqual(spec.volumes);
  });

  test("what cannot be is refused with the reason, whoever asks", async () => {
    await register();
    await untilInjected();
    const { status, body } = await make({ ...INJECT, "agentruntime.dev/container": "nobody" });
    expect(status).toBe(422);
    expect((body as { readonly message: string }).message).toMatch(
      /agentruntime.dev\/container is "nobody", and the pod has the containers main/,
    );
  });

  test("where nobody answers, pods are made all the same; with the policy Fail they are not", async () => {
    const nowhere = { at: "https://127.0.0.1:9" };
    await register({ ...nowhere, failurePolicy: "Fail" });
    // An API server hears of a registration a moment after it was made.
    await until(async () => (await make(INJECT)).status === 500, { what: "a refusal" });
    expect((await make({})).status).toBe(201);
    await api.ask("DELETE", CONFIGURATIONS);
    await register({ name: "as-it-is", ...nowhere });
    const made = await until(
      async () => {
        const { status, body } = await make(INJECT);
        return status === 201 ? (body as Pod) : null;
      },
      { what: "a pod" },
    );
    expect(sidecarsOf(made)).toBe(0);
  });

  /** How often it found nothing to do. */
  async function unchanged(): Promise<number> {
    const text = await (await fetch(`${statusUrl}/metrics`)).text();
    return Number(/reviews_total\{outcome="unchanged"\} (\d+)/.exec(text)?.[1] ?? 0);
  }
});

function sidecarsOf({ spec }: Pod): number {
  return spec.initContainers?.filter(({ name }) => name === SIDECAR).length ?? 0;
}
