// A Kubernetes API server, its store, a kubelet, the controllers and KWOK, built by the Go toolchain as a Go module proxy has them: no registry that
// the tests may use has them as programs. They are kept outside the tree, and built once for each set of versions: about
// half an hour of one core.
//
//   node scripts/cluster-parts.mjs          builds what is missing
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { homedir } from "node:os";
import * as path from "node:path";
import { pathToFileURL } from "node:url";

const kubernetes = "1.35.4"; // the last minor that speaks to a containerd 1.x
const oldestGo = 26; // of 1.x: what those modules ask for
const programs = [
  { name: "etcd", module: "go.etcd.io/etcd/server/v3", version: "v3.6.13", main: "" },
  { name: "kwok", module: "sigs.k8s.io/kwok", version: "v0.8.0", main: "/cmd/kwok" },
  ...["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(ofKubernetes),
  ...["kubelet", "kube-proxy"].map(ofKubernetes),
  { name: "coredns", module: "github.com/coredns/coredns", version: "v1.12.4", main: "" },
];
const folder = cacheFolder();

/** Where each program is, or why it is not there. */
export function findCluster() {
  const files = programs.map(fileOf);
  const [etcd, kwok, apiserver, controllers, scheduler, kubelet, proxy, dns] = files;
  if (files.every((file) => fs.existsSync(file))) {
    return { etcd, kwok, apiserver, controllers, scheduler, kubelet, proxy, dns };
  }
  return { missing: whyNot() ?? "the programs of a cluster (node scripts/cluster-parts.mjs)" };
}

/** Builds what is missing, and says so; then finds again. What was built before an end by Ctrl-C is kept. */
export function provideCluster() {
  const isBuildable = findCluster().missing !== undefined && whyNot() === undefined;
  if (isBuildable) {
    for (const program of programs) if (!fs.existsSync(fileOf(program))) build(program);
  }
  return findCluster();
}

function whyNot() {
  const { status, stdout } = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  if (status !== 0) return `Go 1.${oldestGo} or newer, which builds an API server`;
  const minor = Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? 0);
  if (minor >= oldestGo) return undefined;
  return `Go 1.${oldestGo} or newer, which builds an API server; here is ${stdout.trim()}`;
}

function build({ name, module, version, main, link = "" }) {
  const began = performance.now();
  console.error(`building ${name} ${version}, once (Go) ...`);
  // Beside the others of this version: a build that was broken off is begun again from its compiled packages.
  const source = path.join(folder, `${name}.${process.pid}`);
  try {
    fs.mkdirSync(source, { recursive: true });
    const go = (...args) => run(source, args);
    go("mod", "init", `cluster.test/${name}`);
    for (const replaced of replacements(source, module, version)) {
      go("mod", "edit", "-replace", replaced);
    }
    go("mod", "edit", "-require", `${module}@${version}`);
    const fresh = path.join(source, name);
    go("build", "-mod=mod", "-ldflags", `-s -w ${link}`, "-o", fresh, module + main);
    fs.renameSync(fresh, fileOf({ name }));
    console.error(`built ${name} in ${((performance.now() - began) / 1000).toFixed(0)} s`);
  } catch (error) {
    console.error(`${name} could not be built: ${error.message}`);
  } finally {
    fs.rmSync(source, { recursive: true, force: true });
  }
}

function ofKubernetes(name) {
  const version = `v${kubernetes}`;
  // Else it calls itself v0.0.0, and refuses what depends on its version.
  const link = `-X k8s.io/component-base/version.gitVersion=${version}`;
  return { name, module: "k8s.io/kubernetes", version, main: `/cmd/${name}`, link };
}

/** Kubernetes names its own parts as version 0.0.0, and has them in folders; the proxy has them under versions. */
function replacements(source, module, version) {
  if (module !== "k8s.io/kubernetes") return [];
  const known = run(source, ["mod", "download", "-json", `${module}@${version}`]);
  const { GoMod: file } = JSON.parse(known);
  const parts = fs.readFileSync(file, "utf8").matchAll(/^\s*(k8s\.io\/[a-z-]+) v0\.0\.0$/gm);
  return [...parts].map(([, part]) => `${part}=${part}@${version.replace("v1.", "v0.")}`);
}

function run(cwd, args) {
  return execFileSync("go", args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, CGO_ENABLED: "0", GOTOOLCHAIN: "local" },
  });
}

function fileOf({ name }) {
  return path.join(folder, name);
}

function cacheFolder() {
  const versions = [
    ...new Set(programs.map(({ module, version }) => `${module}@${version}`)),
  ].join();
  const content = createHash("sha256").update(versions).digest("hex").slice(0, 12);
  const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache");
  return path.join(cache, "agent-runtime-state", `cluster-${content}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { missing } = provideCluster();
  console.error(missing === undefined ? `all is in ${folder}` : `missing: ${missing}`);
  process.exitCode = missing === undefined ? 0 : 1;
}
