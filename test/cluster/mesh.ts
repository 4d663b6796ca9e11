import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import type { CertificateFiles } from "../support/certificates.ts";
import type { ClusterApi } from "./cluster-api.ts";

const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

interface Question {
  readonly request: {
    readonly uid: string;
    readonly object: {
      readonly spec: { readonly containers: readonly { readonly name: string }[] };
    };
  };
}

/**
 * A webhook of somebody else, as a service mesh has one, until the test ends: it is asked after ours, and puts the
 * container `proxy` into pods with the label `test/mesh`.
 */
export async function startMesh(api: ClusterApi, files: CertificateFiles): Promise<void> {
  const [cert, key, authority] = [files.cert, files.key, files.authority].map((file) =>
    readFileSync(file),
  );
  const server = createServer({ cert, key }, (request, response) => {
    void text(request).then((body) => {
      const answer = answerTo(JSON.parse(body) as Question);
      response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await api.make(CONFIGURATIONS, configurationOf(port, authority!.toString("base64")));
  onTestFinished(async () => {
    await api.ask("DELETE", `${CONFIGURATIONS}/mesh`);
    server.closeAllConnections();
    server.close();
  });
}

function answerTo({ request }: Question): object {
  const { uid, object } = request;
  const isThere = object.spec.containers.some(({ name }) => name === "proxy");
  const value = { name: "proxy", image: "proxy" };
  const patch = isThere ? [] : [{ op: "add", path: "/spec/containers/-", value }];
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: {
      uid,
      allowed: true,
      patchType: "JSONPatch",
      patch: Buffer.from(JSON.stringify(patch)).toString("base64"),
    },
  };
}

/** By its name it comes after ours. */
function configurationOf(port: number, caBundle: string): object {
  return {
    metadata: { name: "mesh" },
    webhooks: [
      {
        name: "mesh.example.test",
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        failurePolicy: "Fail",
        objectSelector: { matchLabels: { "test/mesh": "true" } },
        rules: [
          { apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"] },
        ],
        clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle },
      },
    ],
  };
}
