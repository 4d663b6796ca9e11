import { until } from "../support/until.ts";
import type { ClusterApi } from "./cluster-api.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const NAME = "sandboxes.agents.x-k8s.io";
const OPEN = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const SCHEMA = {
  openAPIV3Schema: { type: "object", properties: { spec: OPEN, status: OPEN } },
};

/** The kind Sandbox, with just as much of it as is read here; the test plays its controller. */
const KIND = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: {
    name: NAME,
    // The API server asks for a reason from whoever defines something below k8s.io.
    annotations: { "api-approved.kubernetes.io": "unapproved, for a test" },
  },
  spec: {
    group: "agents.x-k8s.io",
    scope: "Namespaced",
    names: { plural: "sandboxes", singular: "sandbox", kind: "Sandbox", listKind: "SandboxList" },
    versions: [
      {
        name: "v1beta1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: SCHEMA,
      },
      {
        name: "v1alpha1",
        served: true,
        storage: false,
        subresources: { status: {} },
        schema: SCHEMA,
      },
    ],
  },
};

interface Definition {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Defines the kind; resolves when it can be used. */
export async function defineSandboxes(api: ClusterApi): Promise<void> {
  await api.ask("POST", CRDS, KIND);
  const isThere = async (): Promise<boolean> => {
    const { status } = await api.ask<Definition>("GET", `${CRDS}/${NAME}`);
    const established = status?.conditions?.find(({ type }) => type === "Established");
    return established?.status === "True";
  };
  await until(isThere, { what: "the kind Sandbox" });
}

/** Takes the kind away, and with it all of its objects. */
export async function undefineSandboxes(api: ClusterApi): Promise<void> {
  await api.ask("DELETE", `${CRDS}/${NAME}`);
  await until(async () => (await api.find(`${CRDS}/${NAME}`)) === null, { what: "no such kind" });
}
