import { readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { packageRoot } from "../../src/service/package-root.ts";
import type { ClusterApi } from "./cluster-api.ts";

const NAMESPACE = "agents";
const ACCOUNT = "agent-runtime-reflector";

/** The namespace of the pods, and in it a service account with the role that the documentation says. */
export async function makeReflectorAccount(
  api: ClusterApi,
  moreVerbs: readonly string[] = [],
): Promise<{ readonly namespace: string; readonly token: string }> {
  await api.make("/api/v1/namespaces", { metadata: { name: NAMESPACE } });
  const account = { name: ACCOUNT, namespace: NAMESPACE };
  await api.make(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: account });
  const roles = "/apis/rbac.authorization.k8s.io/v1";
  await api.make(`${roles}/clusterroles`, roleOfDocs(moreVerbs));
  await api.make(`${roles}/clusterrolebindings`, {
    metadata: { name: ACCOUNT },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: ACCOUNT },
    subjects: [{ kind: "ServiceAccount", ...account }],
  });
  return { namespace: NAMESPACE, token: await api.tokenOf(NAMESPACE, ACCOUNT) };
}

/** As docs/kubernetes.md has it, with more verbs for pods. */
export function roleOfDocs(moreVerbs: readonly string[] = []): object {
  const page = readFileSync(path.join(packageRoot(), "docs", "kubernetes.md"), "utf8");
  const block = /```yaml\n(apiVersion: rbac[^`]+)```/.exec(page)?.[1] ?? "";
  const role = parse(block) as { readonly rules: readonly { readonly verbs: string[] }[] };
  role.rules[0]!.verbs.push(...moreVerbs);
  return role;
}
