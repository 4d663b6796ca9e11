// What renders and checks what is in deploy/: Helm, and what Kubernetes says of its own objects. Both are Go modules: one
// is built, one just read, into caches outside of the checkout.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { homedir } from "node:os";
import * as path from "node:path";

const helmVersion = "v3.21.4";
/** The newest version of Kubernetes that the objects are checked against. */
export const kubernetesVersion = "v1.35.4";

const cache = path.join(
  process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache"),
  "agent-runtime-state",
);
const helmFolder = path.join(cache, `helm-${helmVersion}`);
const how = "npm run manifests brings it, with Go";

/** Helm, where it was built before; else what is missing. */
export function findHelm() {
  const file = path.join(helmFolder, "helm");
  return fs.existsSync(file) ? { file } : { missing: `Helm ${helmVersion} (${how})` };
}

/** The description of all objects of Kubernetes, where it was fetched before; else what is missing. */
export function findKubernetesSchema() {
  const answer = spawnSync("go", ["env", "GOMODCACHE"], { encoding: "utf8" });
  const modules = answer.status === 0 ? answer.stdout.trim() : "";
  const folder = path.join(modules, "k8s.io", `kubernetes@${kubernetesVersion}`);
  const file = path.join(folder, "api", "openapi-spec", "swagger.json");
  if (modules !== "" && fs.existsSync(file)) return { file };
  return { missing: `the API description of Kubernetes ${kubernetesVersion} (${how})` };
}

/** Brings both where they are not there yet: minutes, and about 300 MB on the way. */
export function provideDeployTools() {
  if (findHelm().missing !== undefined) {
    console.error(`building Helm ${helmVersion} (go install), once ...`);
    fs.mkdirSync(helmFolder, { recursive: true });
    const env = { GOBIN: helmFolder, CGO_ENABLED: "0" };
    go(["install", "-trimpath", `helm.sh/helm/v3/cmd/helm@${helmVersion}`], env);
  }
  if (findKubernetesSchema().missing !== undefined) {
    go(["mod", "download", `k8s.io/kubernetes@${kubernetesVersion}`], {});
  }
}

function go(args, env) {
  const { error, status } = spawnSync("go", args, {
    cwd: homedir(),
    stdio: ["ignore", 2, 2],
    env: { ...process.env, ...env },
  });
  if (error?.code === "ENOENT") throw new Error("there is no Go on the PATH (https://go.dev)");
  if (status !== 0) throw new Error(`go ${args[0]} ended with ${status}; what it says is above`);
}
