import { beforeAll, expect, onTestFinished, test } from "vitest";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { Finalizers } from "../../src/reflector/finalizers.ts";
import { FINALIZER } from "../../src/reflector/pod-object.ts";
import type { PodObject } from "../../src/reflector/pod-object.ts";
import { Sandboxes } from "../../src/reflector/sandboxes.ts";
import { systemClock } from "../../src/service/clock.ts";
import { silentLog } from "../../src/service/log.ts";
import { plainObjects } from "../deploy/objects.ts";
import type { Book } from "../kubernetes/book.ts";
import { until } from "../support/until.ts";
import type { Asked } from "./audit.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { NODE } from "./cluster.ts";
import { Applier } from "./objects.ts";
import { describeOnCluster } from "./on-cluster.ts";
import { roleOfDocs } from "./role.ts";
import { defineSandboxes } from "./sandbox-kind.ts";
import { watch } from "./watching.ts";

const NAMESPACE = "agent-runtime";
const ACCOUNT = "agent-runtime-reflector";
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const SANDBOXES = `/apis/agents.x-k8s.io/v1beta1/namespaces/${NAMESPACE}/sandboxes`;
const ROLE = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${ACCOUNT}`;

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const OWN = plainObjects().filter(({ metadata }) => metadata.name === ACCOUNT);
const role = OWN.find(({ kind }) => kind === "ClusterRole")!;
/** With what `reflector.finalizer` adds, which a test of the chart looks at. */
const RULES = (role.rules as readonly Rule[]).map((rule) =>
  rule.resources.includes("pods") ? { ...rule, verbs: [...rule.verbs, "patch"] } : rule,
);
const GRANTED = rightsOf(RULES);

function rightsOf(rules: readonly Rule[]): readonly string[] {
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    resources.flatMap((resource) => {
      const name = apiGroups[0] === "" ? resource : `${apiGroups[0]}/${resource}`;
      return verbs.map((verb) => `${verb} ${name}`);
    }),
  );
}

/** Those rules, and one right less. */
function without(right: string): readonly Rule[] {
  return RULES.map((rule) => {
    const verbs = rule.verbs.filter(
      (verb) => !rightsOf([{ ...rule, verbs: [verb] }]).includes(right),
    );
    return { ...rule, verbs };
  });
}

await describeOnCluster("the rights of the reflector", (cluster) => {
  let api: ClusterApi;
  let token: string;
  let count = 0;

  beforeAll(async () => {
    api = await cluster.api();
    await api.make("/api/v1/namespaces", { metadata: { name: NAMESPACE } });
    const applier = new Applier(api);
    for (const object of OWN.filter(({ kind }) => /^(ServiceAccount|ClusterRole)/.test(kind))) {
      const { metadata } = object;
      await applier.make({ ...object, metadata: { ...metadata, namespace: NAMESPACE } });
    }
    await defineSandboxes(api);
    token = await api.tokenOf(NAMESPACE, ACCOUNT);
  });

  const grant = (rules: readonly Rule[]): Promise<unknown> => api.ask("PATCH", ROLE, { rules });

  /** What it asked since then, and was or was not given. */
  const asked = async (from: number): Promise<readonly Asked[]> =>
    (await cluster.asked())
      .slice(from)
      .filter(({ account }) => account === `${NAMESPACE}:${ACCOUNT}`);

  /** Follows pods and Sandbox objects, holds pods back, and has to do with one of each until `isEnough`. */
  async function exercise(isEnough: () => Promise<boolean>): Promise<Book> {
    const { server } = cluster;
    const authority = await cluster.authority();
    const client = new KubernetesClient({ server, authority, token: () => Promise.resolve(token) });
    const finalizers = new Finalizers({
      client,
      isCommitted: () => Promise.resolve(true),
      log: silentLog,
      pauseMs: 20,
    });
    const watching = await watch(cluster, { token, onObject: (pod) => finalizers.see(pod) });
    const over = new AbortController();
    const { book } = watching;
    const sandboxes = new Sandboxes({
      client,
      sink: book,
      known: null,
      namespaces: [null],
      selector: "",
      all: false,
      clock: systemClock,
      log: silentLog,
      lookMs: 50,
      backoff: { firstMs: 20, maxMs: 200 },
    });
    finalizers.start();
    const running = sandboxes.run(over.signal);
    onTestFinished(async () => {
      over.abort();
      await Promise.all([running, finalizers.stop(), watching.stop()]);
    });

    const name = `agent-${(count += 1)}`;
    const labels = { "agentruntime.dev/agent": name };
    const pod = await api.ask<PodObject>("POST", PODS, {
      metadata: { name, labels },
      spec: { nodeName: NODE, containers: [{ name: "main", image: "agent" }] },
    });
    const sandbox = await api.ask<{ readonly metadata: { readonly uid: string } }>(
      "POST",
      SANDBOXES,
      {
        apiVersion: "agents.x-k8s.io/v1beta1",
        kind: "Sandbox",
        metadata: { name, labels },
        spec: {},
      },
    );
    const isHeld = async (): Promise<boolean> => {
      const now = await api.find<PodObject>(`${PODS}/${name}`);
      return now?.metadata.finalizers?.includes(FINALIZER) ?? false;
    };
    const areTold = async (): Promise<boolean> =>
      book.phaseOf(pod.metadata.uid) === "running" &&
      book.phaseOf(sandbox.metadata.uid) === "requested" &&
      (await isHeld());
    const refused = async (): Promise<boolean> => (await isEnough()) || (await areTold());
    await until(refused, { what: "both, and a pod that is held" });
    // Neither says whether it is there any more: so it is asked for.
    await api.ask("PATCH", `${PODS}/${name}`, { metadata: { labels: null } });
    await api.ask("DELETE", `${SANDBOXES}/${name}`);
    await until(isEnough, { what: "what was waited for" });
    return book;
  }

  test("those of the manifests are those of the documentation", () => {
    const { rules } = roleOfDocs() as { readonly rules: readonly Rule[] };
    expect(rules).toEqual(role.rules);
  });

  test("what the manifests grant suffices, and all of it is used", async () => {
    await grant(RULES);
    const from = (await cluster.asked()).length;
    const used = async (): Promise<ReadonlySet<string>> => {
      // What is gone by then is not found, and was looked for.
      const given = (await asked(from)).filter(({ status }) => status < 300 || status === 404);
      return new Set(given.map(({ verb, resource }) => `${verb} ${resource}`));
    };
    await exercise(async () => {
      const now = await used();
      return GRANTED.every((right) => now.has(right));
    });
    const questions = await asked(from);
    expect(questions.filter(({ status }) => status === 401 || status === 403)).toEqual([]);
    // Which kinds there are, everybody may ask.
    expect([...(await used())].filter((right) => right !== "get ").toSorted()).toEqual(
      GRANTED.toSorted(),
    );
  });

  test.each(GRANTED)("without the right to %s it cannot do", async (right) => {
    await grant(without(right));
    onTestFinished(async () => void (await grant(RULES)));
    const from = (await cluster.asked()).length;
    const isRefused = async (): Promise<boolean> =>
      (await asked(from)).some(
        ({ verb, resource, status }) => status === 403 && `${verb} ${resource}` === right,
      );
    await exercise(isRefused);
    const refusals = (await asked(from)).filter(({ status }) => status === 403);
    expect(new Set(refusals.map(({ verb, resource }) => `${verb} ${resource}`))).toEqual(
      new Set([right]),
    );
  });
});
