import { expect, test } from "vitest";
import type { Json, JsonObject } from "../state/json.ts";
import { review } from "./review.ts";
import type { SidecarSettings } from "./sidecar.ts";

const SETTINGS: SidecarSettings = {
  image: "image",
  pullPolicy: "Never",
  port: 8087,
  to: "service",
  url: "http://agent-state:8080",
  namespace: "",
  secret: "",
  spoolMiB: 1,
  memoryMiB: 64,
  cpuMillis: 1,
};
const POD = {
  metadata: { labels: { "agentruntime.dev/inject": "true", "agentruntime.dev/agent": "a" } },
  spec: { containers: [{ name: "main" }] },
};

function asked(request: JsonObject = {}): Json {
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "u-1",
      operation: "CREATE",
      resource: { group: "", version: "v1", resource: "pods" },
      object: POD,
      ...request,
    },
  };
}

function answered(request?: JsonObject): JsonObject {
  const { body } = review(asked(request), SETTINGS);
  expect(body).toMatchObject({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" });
  return body["response"] as JsonObject;
}

test("a pod that asks is answered with a patch, under the uid of the question", () => {
  const { uid, allowed, patchType, patch } = answered();
  expect({ uid, allowed, patchType }).toEqual({
    uid: "u-1",
    allowed: true,
    patchType: "JSONPatch",
  });
  const operations = JSON.parse(Buffer.from(patch as string, "base64").toString()) as Record<
    string,
    string
  >[];
  expect(operations.map(({ op, path }) => `${op} ${path}`)).toEqual([
    "add /spec/containers/0/env",
    "add /spec/containers/0/lifecycle",
    "add /spec/volumes",
    "add /spec/initContainers",
  ]);
});

test.each<[string, JsonObject]>([
  ["a change", { operation: "UPDATE" }],
  ["another resource", { resource: { group: "apps", version: "v1", resource: "deployments" } }],
  ["a part of a pod", { subResource: "status" }],
])("%s is let through", (_, request) => {
  expect(answered(request)).toEqual({ uid: "u-1", allowed: true });
});

test("a pod that cannot be read is refused with the reason", () => {
  expect(answered({ object: { metadata: POD.metadata, spec: {} } })).toEqual({
    uid: "u-1",
    allowed: false,
    status: {
      code: 422,
      reason: "Invalid",
      message: 'agent_runtime webhook: "spec.containers" must have a container',
    },
  });
});

test.each<[string, Json, RegExp]>([
  ["no object", 1, /the body must be a JSON object/],
  ["another kind", { apiVersion: "v1", kind: "Pod" }, /not .*Pod.*v1/],
  [
    "another version",
    { ...(asked() as JsonObject), apiVersion: "admission.k8s.io/v1beta1" },
    /v1beta1/,
  ],
  ["no request", { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" }, /request must be/],
  ["no uid", asked({ uid: "" }), /request.uid/],
])("what is no question is refused: %s", (_, body, why) => {
  expect(() => review(body, SETTINGS)).toThrow(why);
});
