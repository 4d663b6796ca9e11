import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseAllDocuments } from "yaml";
import type { DeployTools } from "../../scripts/deploy-tools.d.mts";
import { packageRoot } from "../../src/service/package-root.ts";

/** An object of Kubernetes, as a manifest has it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: any;
  readonly data?: any;
  readonly rules?: any;
  readonly webhooks?: any;
}

export const DEPLOY = join(packageRoot(), "deploy");
export const CHART = join(DEPLOY, "helm", "agent-runtime-state");

// Loaded by its path: it is plain JavaScript, which the compiler does not copy beside us.
export const { findHelm, findKubernetesSchema, kubernetesVersion } = (await import(
  pathToFileURL(join(packageRoot(), "scripts", "deploy-tools.mjs")).href
)) as DeployTools;

/** The objects in deploy/manifests, the example among them, in the order in which `kubectl apply` takes them. */
export function plainObjects(): KubernetesObject[] {
  const folder = join(DEPLOY, "manifests");
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".yaml"))
    .toSorted()
    .flatMap((file) => objectsIn(readFileSync(join(folder, file), "utf8")));
}

/** A pod as the agent of the example has it. */
export interface ExamplePod {
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: readonly [{ readonly env: readonly { readonly name: string }[] }];
  };
}

/** The pod that the manifests make for the agent of the example. */
export function examplePod(): ExamplePod {
  const { metadata, spec } = plainObjects().find(({ kind }) => kind === "StatefulSet")!;
  const { template } = spec as { readonly template: ExamplePod };
  return { ...template, metadata: { ...template.metadata, name: `${metadata.name}-0` } };
}

/** What `helm` says; `--set` and `--values` among the arguments. */
export function helm(...args: readonly string[]): string {
  const found = findHelm();
  if (found.missing !== undefined) throw new Error(`missing: ${found.missing}`);
  return execFileSync(found.file, args, { encoding: "utf8", stdio: "pipe" });
}

/** The objects that the chart makes with these values (`webhook.enabled=false`). */
export function renderChart(...values: readonly string[]): KubernetesObject[] {
  const where = ["--namespace", "here", "--kube-version", kubernetesVersion];
  const sets = values.flatMap((value) => ["--set", value]);
  return objectsIn(helm("template", "agent-runtime", CHART, ...where, ...sets));
}

function objectsIn(text: string): KubernetesObject[] {
  return parseAllDocuments(text)
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0]!;
      return document.toJS() as KubernetesObject | null;
    })
    .filter((object) => object !== null);
}
