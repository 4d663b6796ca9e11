import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { packageRoot, packageVersion } from "../../src/service/package-root.ts";
import { KubernetesSchema } from "./kubernetes-schema.ts";
import { CHART, DEPLOY, findHelm, findKubernetesSchema, helm, renderChart } from "./objects.ts";
import type { KubernetesObject } from "./objects.ts";

const { missing } = findHelm();
const schema = findKubernetesSchema();

test("the chart has the version of the program", () => {
  const chart = readFileSync(join(CHART, "Chart.yaml"), "utf8");
  expect(chart).toContain(`appVersion: "${packageVersion()}"`);
});

describe("the chart, by Helm", () => {
  if (missing === undefined) suite();
  else skipped();
});

function skipped(): void {
  test("has all that it runs on", (context) => context.skip(`not here: ${missing}`));
}

function suite(): void {
  const standard = renderChart();
  const kindsOf = (objects: readonly KubernetesObject[]): string[] =>
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  const spoolsOf = (objects: readonly KubernetesObject[]): string[] =>
    one(objects, "DaemonSet")
      .spec.template.spec.volumes.filter(({ name }: { name: string }) => name === "spool")
      .map(({ hostPath }: { hostPath: { path: string } }) => hostPath.path);
  const one = (objects: readonly KubernetesObject[], kind: string, name = ""): KubernetesObject =>
    objects.find((each) => each.kind === kind && each.metadata.name.includes(name))!;

  test("has nothing that Helm objects to", () => {
    expect(helm("lint", "--strict", CHART)).toContain("0 chart(s) failed");
  });

  test("the plain manifests are what it makes now", () => {
    const folder = mkdtempSync(join(tmpdir(), "art-manifests-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const script = join(packageRoot(), "scripts", "manifests.mjs");
    execFileSync(process.execPath, [script, folder], { stdio: "pipe" });
    const filesIn = (where: string): Record<string, string> =>
      Object.fromEntries(
        readdirSync(where, { recursive: true, encoding: "utf8" })
          .filter((file) => file.endsWith(".yaml"))
          .map((file) => [file, readFileSync(join(where, file), "utf8")]),
      );
    expect(filesIn(join(DEPLOY, "manifests"))).toEqual(filesIn(folder));
  });

  test.each([
    [["captor.enabled=false"], /captor/],
    [["reflector.enabled=false"], /reflector/],
    [["webhook.enabled=false"], /webhook/i],
    [["networkPolicy.enabled=false"], /NetworkPolicy/],
    [["service.replicas=1", "webhook.replicas=1", "reflector.replicas=1"], /PodDisruptionBudget/],
  ])("%s leaves no trace", (values, trace) => {
    expect(kindsOf(standard).some((name) => trace.test(name))).toBe(true);
    expect(kindsOf(renderChart(...values)).filter((name) => trace.test(name))).toEqual([]);
  });

  test("its own certificate is one that the API server can trust", () => {
    const objects = standard;
    const { data } = one(objects, "Secret", "webhook-tls");
    const pem = (field: string): string => Buffer.from(data[field], "base64").toString();
    const [own, authority] = ["tls.crt", "ca.crt"].map((field) => new X509Certificate(pem(field)));
    expect(own!.checkIssued(authority!) && own!.verify(authority!.publicKey)).toBe(true);
    expect(own!.checkHost("agent-runtime-webhook.here.svc")).toBeDefined();
    const { webhooks } = one(objects, "MutatingWebhookConfiguration");
    expect(webhooks[0].clientConfig.caBundle).toBe(data["ca.crt"]);
  });

  test("cert-manager issues it where that is wished", () => {
    const objects = renderChart("webhook.certificates.source=cert-manager");
    const { spec } = one(objects, "Certificate");
    expect(spec.secretName).toBe("agent-runtime-webhook-tls");
    expect(one(objects, "MutatingWebhookConfiguration").metadata).toMatchObject({
      annotations: { "cert-manager.io/inject-ca-from": "here/agent-runtime-webhook" },
    });
    const given = "webhook.certificates.issuer.name=ours";
    expect(kindsOf(renderChart("webhook.certificates.source=cert-manager", given))).not.toContain(
      "Issuer agent-runtime-webhook",
    );
  });

  test("past the service no captor may go anywhere but where it must, with it nowhere else", () => {
    const policy = (objects: readonly KubernetesObject[]): KubernetesObject =>
      one(objects, "NetworkPolicy", "captor");
    expect(policy(standard).spec.policyTypes).toEqual(["Ingress", "Egress"]);
    const past = renderChart("facts.to=rocketmq");
    expect(policy(past).spec.policyTypes).toEqual(["Ingress"]);
    const { containers } = one(past, "DaemonSet").spec.template.spec;
    expect(containers[0].args).toEqual(expect.arrayContaining(["--to", "rocketmq"]));
  });

  test("one reflector asks nobody who leads; several ask the service, also past which they tell", () => {
    const argsOf = (...values: readonly string[]): string =>
      one(
        renderChart(...values),
        "Deployment",
        "reflector",
      ).spec.template.spec.containers[0].args.join(" ");
    expect(argsOf("reflector.replicas=1")).not.toContain("--lead");
    expect(argsOf("facts.to=rocketmq")).toMatch(
      /--lead here\.agent-runtime-reflector .*--to rocketmq --url http:\/\/agent-runtime\.here\.svc/,
    );
  });

  test.each(["", "agents"])("who holds pods back may change them (namespace '%s')", (namespace) => {
    const where = `reflector.podNamespace=${namespace}`;
    const verbsOf = (objects: readonly KubernetesObject[]): unknown =>
      objects.find(({ kind }) => kind.endsWith("Role"))!.rules[0].verbs;
    const holding = renderChart("reflector.finalizer=true", where);
    expect(verbsOf(holding)).toEqual(["get", "list", "watch", "patch"]);
    const { containers } = one(holding, "Deployment", "reflector").spec.template.spec;
    expect(containers[0].args).toContain("--finalizer");
    expect(verbsOf(renderChart(where))).toEqual(["get", "list", "watch"]);
  });

  test("who does not follow Sandbox objects may not read them", () => {
    const rules = (objects: readonly KubernetesObject[]): readonly { resources: string[] }[] =>
      one(objects, "ClusterRole").rules;
    expect(rules(standard).map(({ resources }) => resources)).toEqual([["pods"], ["sandboxes"]]);
    const without = renderChart("reflector.sandboxes=false");
    expect(rules(without).map(({ resources }) => resources)).toEqual([["pods"]]);
    const argsOf = (objects: readonly KubernetesObject[]): readonly string[] =>
      one(objects, "Deployment", "reflector").spec.template.spec.containers[0].args;
    expect(argsOf(without)).toContain("--no-sandboxes");
    expect(argsOf(standard)).not.toContain("--no-sandboxes");
  });

  test("two installations share no folder of a node", () => {
    const [here] = spoolsOf(standard);
    expect(here).toBe("/var/lib/agent-runtime/here.agent-runtime/captor");
    expect(spoolsOf(renderChart("captor.spoolFolder=/mnt/facts"))).toEqual(["/mnt/facts"]);
  });

  test("one namespace of pods needs no rights in others", () => {
    const kinds = kindsOf(renderChart("reflector.podNamespace=agents"));
    expect(kinds).toContain("Role agent-runtime-reflector");
    expect(kinds.filter((name) => name.startsWith("ClusterRole"))).toEqual([]);
  });

  test.each([
    ["service.replicas=0", /replicas/],
    ["webhook.failurePolicy=Maybe", /failurePolicy/],
    ["facts.to=kafka", /facts.*to|to.*must be one of/s],
    ["servce.replicas=1", /servce/],
    ["reflector.podNamespace=a\\,b", /podNamespace/],
    ["webhook.certificates.source=secret", /say which in webhook.certificates.secret/],
  ])("%s is refused", (value, why) => {
    expect(() => renderChart(value)).toThrow(why);
  });

  test("whatever it makes is as Kubernetes describes it", (context) => {
    if (schema.missing !== undefined) {
      context.skip(`not here: ${schema.missing}`);
      return;
    }
    const kubernetes = new KubernetesSchema(schema.file);
    const all = ["example.enabled=true", "runtimeClass.create=true"];
    const faults = [
      standard,
      renderChart(...all),
      renderChart(...all, "facts.to=rocketmq", "facts.namespace=a", "reflector.sweep=true"),
      renderChart("reflector.podNamespace=agents", "imagePullSecrets[0].name=registry"),
      renderChart("webhook.certificates.source=cert-manager"),
    ].flatMap((objects) => objects.flatMap((object) => kubernetes.faultsOf(object)));
    // Those two are cert-manager's.
    expect(faults.filter((fault) => !/^(Certificate|Issuer) /.test(fault))).toEqual([]);
  });
}
