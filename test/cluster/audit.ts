import { readFile } from "node:fs/promises";

/** What the API server notes of service accounts: who asked for what, and what the answer was. */
export const AUDIT_POLICY = JSON.stringify({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata", userGroups: ["system:serviceaccounts"] }, { level: "None" }],
});

/** One question, as the API server noted it. */
export interface Asked {
  readonly account: string;
  readonly verb: string;
  /** `pods`, `agents.x-k8s.io/sandboxes`; empty: none, such as what kinds there are. */
  readonly resource: string;
  readonly status: number;
}

interface AuditEvent {
  readonly user: { readonly username: string };
  readonly verb: string;
  readonly objectRef?: { readonly apiGroup?: string; readonly resource?: string };
  readonly responseStatus?: { readonly code?: number };
}

/** All that service accounts asked so far. */
export async function readAudit(file: string): Promise<readonly Asked[]> {
  const text = await readFile(file, "utf8");
  // The last line may be half written yet.
  const whole = text.split("\n").slice(0, -1);
  return whole.map((line) => {
    const { user, verb, objectRef = {}, responseStatus = {} } = JSON.parse(line) as AuditEvent;
    const { apiGroup = "", resource = "" } = objectRef;
    return {
      account: user.username.replace("system:serviceaccount:", ""),
      verb,
      resource: apiGroup === "" ? resource : `${apiGroup}/${resource}`,
      status: responseStatus.code ?? 0,
    };
  });
}
