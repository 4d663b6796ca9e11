import type { KubernetesObject } from "../deploy/objects.ts";
import type { Answer, ClusterApi } from "./cluster-api.ts";

interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** Makes objects as `kubectl apply` would, or lets the API server say what it would do with them. */
export class Applier {
  readonly #api: ClusterApi;
  readonly #resources = new Map<string, Promise<readonly Resource[]>>();

  constructor(api: ClusterApi) {
    this.#api = api;
  }

  /** Makes it; what was there before stays. */
  async make(object: KubernetesObject): Promise<void> {
    await this.#api.make(await this.#pathOf(object), object);
  }

  /** What the API server would answer; fields that it does not know are faults, and nothing is kept. */
  async dryRun(object: KubernetesObject): Promise<Answer> {
    const path = await this.#pathOf(object);
    return await this.#api.answer("POST", `${path}?dryRun=All&fieldValidation=Strict`, object);
  }

  async find(object: KubernetesObject): Promise<object | null> {
    return await this.#api.find(`${await this.#pathOf(object)}/${object.metadata.name}`);
  }

  async #pathOf({ apiVersion, kind, metadata }: KubernetesObject): Promise<string> {
    const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const known = this.#resources.get(group) ?? this.#discover(group);
    this.#resources.set(group, known);
    const found = (await known).find((each) => each.kind === kind && !each.name.includes("/"));
    if (found === undefined) throw new Error(`the API server knows no ${kind} of ${apiVersion}`);
    const within = found.namespaced ? `/namespaces/${metadata.namespace ?? "default"}` : "";
    return `${group}${within}/${found.name}`;
  }

  async #discover(group: string): Promise<readonly Resource[]> {
    const { resources } = await this.#api.ask<{ readonly resources: readonly Resource[] }>(
      "GET",
      group,
    );
    return resources;
  }
}
