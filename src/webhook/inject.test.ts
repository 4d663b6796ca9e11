import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../state/json.ts";
import { applyPatch } from "../state/patch.ts";
import { injectInto } from "./inject.ts";
import type { SidecarSettings } from "./sidecar.ts";

const SETTINGS: SidecarSettings = {
  image: "registry.example/agent-runtime-state:1",
  pullPolicy: "IfNotPresent",
  port: 8087,
  to: "service",
  url: "http://agent-state:8080",
  namespace: "",
  secret: "",
  spoolMiB: 128,
  memoryMiB: 192,
  cpuMillis: 20,
};
const ASKED = { "agentruntime.dev/inject": "true", "agentruntime.dev/agent": "alice" };
const HOOKS = ["postStart", "preStop"] as const;

type Pod = JsonObject & { readonly spec: JsonObject };
type Container = JsonObject & { readonly name: string; readonly lifecycle?: JsonObject };

function podOf(
  containers: readonly JsonObject[],
  more: JsonObject = {},
  labels: JsonObject = ASKED,
): Pod {
  return { metadata: { name: "agent-7", labels }, spec: { containers, ...more } };
}

function inject(pod: Json, settings: Partial<SidecarSettings> = {}): Pod {
  return applyPatch(pod, injectInto(pod, { ...SETTINGS, ...settings }).operations) as Pod;
}

function containersOf(pod: Pod, list: "containers" | "initContainers" = "containers"): Container[] {
  return (pod.spec[list] ?? []) as unknown as Container[];
}

const sidecarOf = (pod: Pod): Container => containersOf(pod, "initContainers")[0]!;

describe("what a labelled pod gets", () => {
  test("a native sidecar before everything else, hooks, variables and a spool", () => {
    const pod = inject(
      podOf([{ name: "main", image: "agent" }], { initContainers: [{ name: "first" }] }),
    );
    expect(containersOf(pod, "initContainers").map(({ name }) => name)).toEqual([
      "agentruntime-hook",
      "first",
    ]);
    const sidecar = sidecarOf(pod);
    expect(sidecar).toMatchObject({
      image: SETTINGS.image,
      restartPolicy: "Always",
      args: ["hook", "--listen", "0.0.0.0:8087", "--spool", "/spool/facts", "--url", SETTINGS.url],
      startupProbe: { httpGet: { path: "/healthz", port: 8087 } },
    });
    expect(sidecar["env"]).toContainEqual({
      name: "AGENT_ID",
      valueFrom: { fieldRef: { fieldPath: "metadata.labels['agentruntime.dev/agent']" } },
    });
    const [main] = containersOf(pod);
    const at = (hook: string): Json => ({
      httpGet: { path: `/v1/hooks/main/${hook}`, port: 8087, scheme: "HTTP" },
    });
    expect(main).toMatchObject({
      name: "main",
      image: "agent",
      lifecycle: { postStart: at("postStart"), preStop: at("preStop") },
    });
    const names = (main!["env"] as JsonObject[]).map(({ name }) => name);
    expect(names).toEqual(["POD_UID", "POD_NAME", "POD_NAMESPACE", "NODE_NAME", "AGENT_ID"]);
    expect(pod.spec["volumes"]).toEqual([
      { name: "agentruntime-spool", emptyDir: { sizeLimit: "128Mi" } },
    ]);
  });

  test("nothing where it is not labelled, or says false", () => {
    for (const labels of [
      {},
      { "agentruntime.dev/agent": "a" },
      { "agentruntime.dev/inject": "false" },
    ]) {
      expect(injectInto(podOf([{ name: "main" }], {}, labels), SETTINGS)).toEqual({
        operations: [],
        warnings: [],
      });
    }
  });

  test("its own hooks stay, and it is said that they are not told", () => {
    const own = { exec: { command: ["/bin/bye"] } };
    const pod = podOf([{ name: "main", lifecycle: { preStop: own, stopSignal: "SIGINT" } }]);
    expect(containersOf(inject(pod))[0]!.lifecycle).toMatchObject({
      preStop: own,
      stopSignal: "SIGINT",
      postStart: { httpGet: { path: "/v1/hooks/main/postStart" } },
    });
    expect(injectInto(pod, SETTINGS).warnings).toEqual([
      "container main keeps its own preStop, so its preStop is not told to the state",
    ]);
  });

  test("its own variables stay", () => {
    const env = [
      { name: "POD_NAME", value: "mine" },
      { name: "X", value: "1" },
    ];
    const [main] = containersOf(inject(podOf([{ name: "main", env }])));
    expect((main!["env"] as JsonObject[]).slice(0, 2)).toEqual(env);
    expect((main!["env"] as JsonObject[]).filter(({ name }) => name === "POD_NAME")).toHaveLength(
      1,
    );
  });

  test("only the container that its life hangs on, where one is named", () => {
    const labels = { ...ASKED, "agentruntime.dev/container": "main" };
    const pod = inject(podOf([{ name: "proxy" }, { name: "main" }], {}, labels));
    const [proxy, main] = containersOf(pod);
    expect(proxy).toEqual({ name: "proxy" });
    expect(main).toHaveProperty("lifecycle.preStop");
    expect(sidecarOf(pod)["env"]).toContainEqual(
      expect.objectContaining({ name: "AGENT_CONTAINER" }),
    );
  });

  test("an annotation names an agent whose id is no label", () => {
    const pod = podOf([{ name: "main" }], {}, { "agentruntime.dev/inject": "true" });
    const metadata = {
      ...(pod["metadata"] as JsonObject),
      annotations: { "agentruntime.dev/agent": "a b" },
    };
    const given = { ...pod, metadata };
    expect(injectInto(given, SETTINGS).warnings).toEqual([]);
    expect(sidecarOf(inject(given))["env"]).toContainEqual({
      name: "AGENT_ID",
      valueFrom: { fieldRef: { fieldPath: "metadata.annotations['agentruntime.dev/agent']" } },
    });
  });

  test("a pod whose containers leave no port is refused, and does not hold up the others", () => {
    const ports = Array.from({ length: 65_536 - 1_024 }, (_, n) => ({ containerPort: 1_024 + n }));
    expect(() => inject(podOf([{ name: "main", ports }]))).toThrow(/no port/);
    const last = inject(podOf([{ name: "main", ports: ports.filter((_, n) => n !== 5) }]));
    expect(sidecarOf(last)["ports"]).toMatchObject([{ containerPort: 1_029 }]);
  });

  test("a port that no container of it declares", () => {
    const ports = [{ containerPort: 8087 }, { containerPort: 8088 }];
    const pod = inject(podOf([{ name: "main", ports }]));
    expect(sidecarOf(pod)["ports"]).toEqual([
      { name: "agent-hook", containerPort: 8089, protocol: "TCP" },
    ]);
    expect(containersOf(pod)[0]).toHaveProperty("lifecycle.preStop.httpGet.port", 8089);
  });

  test("a container that comes later gets the hooks of the sidecar that is there", () => {
    const first = inject(podOf([{ name: "main", ports: [{ containerPort: 8087 }] }]));
    const later = {
      ...first,
      spec: { ...first.spec, containers: [...containersOf(first), { name: "mesh" }] },
    };
    const second = inject(later);
    expect(containersOf(second, "initContainers")).toEqual(containersOf(first, "initContainers"));
    expect(containersOf(second)[1]).toHaveProperty("lifecycle.postStart.httpGet.port", 8088);
  });

  test("the way past the service, another namespace, and a Secret", () => {
    const pod = inject(podOf([{ name: "main" }]), {
      to: "rocketmq",
      namespace: "acme",
      secret: "s",
    });
    expect(sidecarOf(pod)["args"]).toEqual(
      expect.arrayContaining(["--to", "rocketmq", "--namespace", "acme"]),
    );
    expect(sidecarOf(pod)["args"]).not.toContain("--url");
    expect(sidecarOf(pod)["envFrom"]).toEqual([{ secretRef: { name: "s" } }]);
  });

  test("a volume for the spool that it brings itself", () => {
    const volumes = [{ name: "agentruntime-spool", persistentVolumeClaim: { claimName: "mine" } }];
    expect(inject(podOf([{ name: "main" }], { volumes })).spec["volumes"]).toEqual(volumes);
  });

  test("the network of its node: only one such pod can run there, which is said", () => {
    const pod = podOf([{ name: "main" }], { hostNetwork: true });
    expect(injectInto(pod, SETTINGS).warnings).toEqual([
      expect.stringMatching(/port 8087 of the node/),
    ]);
  });

  test("no agent, Windows: it is said", () => {
    const nobody = podOf([{ name: "main" }], {}, { "agentruntime.dev/inject": "true" });
    expect(injectInto(nobody, SETTINGS).warnings[0]).toMatch(/no label agentruntime.dev\/agent/);
    const windows = podOf([{ name: "main" }], { os: { name: "windows" } });
    expect(injectInto(windows, SETTINGS)).toEqual({
      operations: [],
      warnings: ["pods of Windows get no sidecar for hooks"],
    });
  });
});

test.each<[string, Json, RegExp]>([
  ["nothing", null, /the pod must be a JSON object/],
  ["no spec", { metadata: { labels: ASKED } }, /spec must be/],
  ["no container", podOf([]), /"spec.containers" must have a container/],
  [
    "no list",
    { metadata: { labels: ASKED }, spec: { containers: {} } },
    /"spec.containers" must be a list/,
  ],
  ["no name", podOf([{ image: "a" }]), /"spec.containers\[0\].name" must be text/],
  ["variables", podOf([{ name: "a", env: "b" }]), /"spec.containers\[0\].env" must be a list/],
  ["a label", podOf([{ name: "a" }], {}, { ...ASKED, x: 1 }), /"metadata.labels.x" must be text/],
  ["a wish", podOf([{ name: "a" }], {}, { "agentruntime.dev/inject": "yes" }), /"true" or "false"/],
  [
    "an agent that no state can be",
    {
      ...podOf([{ name: "a" }]),
      metadata: {
        labels: { "agentruntime.dev/inject": "true" },
        annotations: { "agentruntime.dev/agent": "team/alice" },
      },
    },
    /agentruntime.dev\/agent names no agent: .*\//,
  ],
  [
    "a container that is not there",
    podOf([{ name: "a" }], {}, { ...ASKED, "agentruntime.dev/container": "b" }),
    /agentruntime.dev\/container is "b", and the pod has the containers a/,
  ],
])("refused with what is wrong: %s", (_, pod, why) => {
  expect(() => injectInto(pod, SETTINGS)).toThrow(why);
});

const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/);
const anyHook = fc.constantFrom<Json>(
  { exec: { command: ["a"] } },
  { sleep: { seconds: 1 } },
  null,
);
const container = (own: fc.Arbitrary<string>): fc.Arbitrary<JsonObject> =>
  fc.record(
    {
      name: own,
      image: fc.string(),
      env: fc.option(
        fc.array(
          fc.record({ name: fc.constantFrom("A", "POD_UID", "NODE_NAME"), value: fc.string() }),
        ),
      ),
      ports: fc.option(
        fc.array(fc.record({ containerPort: fc.integer({ min: 8080, max: 8095 }) })),
      ),
      lifecycle: fc.option(
        fc.record({ preStop: anyHook, postStart: anyHook }, { requiredKeys: [] }),
      ),
      resources: fc.jsonValue() as fc.Arbitrary<Json>,
    },
    { requiredKeys: ["name"] },
  );
const named = (min: number): fc.Arbitrary<JsonObject[]> =>
  fc
    .uniqueArray(name, { minLength: min, maxLength: 4 })
    .chain((names) => fc.tuple(...names.map((each) => container(fc.constant(each)))));
const anyPod = fc
  .record({
    containers: named(1),
    initContainers: fc.option(named(0), { nil: undefined }),
    volumes: fc.option(fc.array(fc.record({ name })), { nil: undefined }),
    isAsked: fc.boolean(),
    terminationGracePeriodSeconds: fc.nat(),
  })
  .map(({ isAsked, ...spec }): Pod => {
    const labels = isAsked ? ASKED : { "agentruntime.dev/agent": "alice" };
    return JSON.parse(JSON.stringify({ metadata: { labels }, spec })) as Pod;
  });

/** What is left of a container without what the webhook may touch. */
function untouched({ env: _env, lifecycle: _lifecycle, ...rest }: JsonObject): JsonObject {
  return rest;
}

test("a pod that was patched is patched no more, and nothing else of it changes", () => {
  fc.assert(
    fc.property(anyPod, (pod) => {
      const once = inject(pod);
      expect(injectInto(once, SETTINGS).operations).toEqual([]);
      const isAsked =
        "agentruntime.dev/inject" in ((pod["metadata"] as JsonObject)["labels"] as object);
      if (!isAsked) {
        expect(once).toEqual(pod);
        return;
      }
      expect(containersOf(once).map(untouched)).toEqual(containersOf(pod).map(untouched));
      expect(containersOf(once, "initContainers").slice(1)).toEqual(
        containersOf(pod, "initContainers"),
      );
      const volumes = (pod.spec["volumes"] ?? []) as Json[];
      expect((once.spec["volumes"] as Json[]).slice(0, volumes.length)).toEqual(volumes);
      for (const [at, before] of containersOf(pod).entries()) {
        const after = containersOf(once)[at]!;
        const env = (before["env"] ?? []) as Json[];
        expect((after["env"] as Json[]).slice(0, env.length)).toEqual(env);
        for (const hook of HOOKS) {
          const own = before.lifecycle?.[hook] ?? null;
          if (own === null) expect(after).toHaveProperty(["lifecycle", hook, "httpGet"]);
          else expect(after.lifecycle?.[hook]).toEqual(own);
        }
      }
      const ports = containersOf(pod).flatMap(({ ports }) => (ports ?? []) as JsonObject[]);
      const own = (sidecarOf(once)["ports"] as JsonObject[])[0]!["containerPort"];
      expect(ports.map(({ containerPort }) => containerPort)).not.toContain(own);
      const { metadata, spec } = once;
      expect(metadata).toEqual(pod["metadata"]);
      expect(spec["terminationGracePeriodSeconds"]).toBe(pod.spec["terminationGracePeriodSeconds"]);
    }),
    { numRuns: 300 },
  );
});
