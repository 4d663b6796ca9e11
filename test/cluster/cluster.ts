import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../dev/services/free-port.ts";
import { Guard } from "../../dev/services/guard.ts";
import { Program } from "../../dev/services/program.ts";
import type { ClusterTools } from "../../scripts/cluster-parts.d.mts";
import { until } from "../support/until.ts";
import { AUDIT_POLICY, readAudit } from "./audit.ts";
import type { Asked } from "./audit.ts";
import { ClusterApi } from "./cluster-api.ts";
import { STAGES } from "./stages.ts";

/** The node that has all pods; KWOK plays its kubelet. */
export const NODE = "node-1";

/**
 * Starts a Kubernetes API server of our own, with its store, and KWOK, on free ports. They end with this process, however
 * that ends. There is no scheduler and no controller: a pod says its node itself.
 */
export async function startCluster(
  tools: ClusterTools,
  { address = "127.0.0.1", isForPods = false }: ClusterOptions = {},
): Promise<OwnCluster> {
  const folder = await mkdtemp(join(tmpdir(), "art-cluster-"));
  const guard = new Guard(folder, "KILL");
  try {
    const ports = { store: await freePort(), peers: await freePort(), api: await freePort() };
    const cluster = new OwnCluster(folder, { tools, guard, ports, address, isForPods });
    await cluster.prepare();
    await cluster.start();
    await cluster.startNodes();
    return cluster;
  } catch (error) {
    await guard.release();
    throw error;
  }
}

interface ClusterOptions {
  /** Where the API server is. */
  readonly address?: string;
  /** Whether pods that really run may ask it: it is a Service, and they get the tokens of their accounts. */
  readonly isForPods?: boolean;
}

interface Place {
  readonly tools: ClusterTools;
  readonly address: string;
  readonly isForPods: boolean;
  readonly guard: Guard;
  readonly ports: { readonly store: number; readonly peers: number; readonly api: number };
}

/** A cluster that runs, and what may happen to it. */
export class OwnCluster {
  readonly server: URL;
  readonly folder: string;
  readonly #place: Place;
  readonly #token = randomBytes(16).toString("hex");
  #apiserver: Program | undefined;

  constructor(folder: string, place: Place) {
    this.folder = folder;
    this.#place = place;
    this.server = new URL(`https://${place.address}:${place.ports.api}`);
  }

  /** Who vouches for the API server: PEM. */
  authority(): Promise<string> {
    return readFile(this.authorityFile, "utf8");
  }

  get authorityFile(): string {
    return this.#file("certs/apiserver.crt");
  }

  /** Of an administrator. */
  get kubeconfigFile(): string {
    return this.#file("admin.kubeconfig");
  }

  async api(): Promise<ClusterApi> {
    return new ClusterApi(this.server, await this.authority(), this.#token);
  }

  /** Keys, and who is let in. */
  async prepare(): Promise<void> {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    await mkdir(this.#file("certs"));
    await writeFile(this.#file("sa.key"), privateKey, { mode: 0o600 });
    await writeFile(this.#file("sa.pub"), publicKey);
    await writeFile(this.#file("tokens.csv"), `${this.#token},admin,1,"system:masters"\n`);
    await writeFile(this.#file("stages.yaml"), STAGES);
    await writeFile(this.#file("audit.yaml"), AUDIT_POLICY);
    await writeFile(this.kubeconfigFile, this.#kubeconfig(), { mode: 0o600 });
    const subject = ["-subj", "/CN=art-clients", "-days", "2"];
    this.#openssl("req", "-x509", ...NEW_KEY, ...subject, "-keyout", "ca.key", "-out", "ca.crt");
  }

  /** What service accounts asked so far, and which answers they got. */
  asked(): Promise<readonly Asked[]> {
    return readAudit(this.#file("audit.log"));
  }

  /** A certificate and its key, of a user in a group of the cluster: PEM. */
  async clientCertificate(
    user: string,
    group: string,
  ): Promise<{ readonly certificate: string; readonly key: string }> {
    const request = ["-keyout", `${user}.key`, "-out", `${user}.csr`];
    this.#openssl("req", ...NEW_KEY, "-subj", `/O=${group}/CN=${user}`, ...request);
    const ca = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1"];
    this.#openssl("x509", "-req", "-in", `${user}.csr`, ...ca, "-out", `${user}.crt`);
    return {
      certificate: await readFile(this.#file(`${user}.crt`), "utf8"),
      key: await readFile(this.#file(`${user}.key`), "utf8"),
    };
  }

  /** Starts the store and the API server. */
  async start(): Promise<void> {
    const { store, peers } = this.#place.ports;
    const at = `http://127.0.0.1:${store}`;
    const peer = `http://127.0.0.1:${peers}`;
    this.run("etcd", [
      `--data-dir=${this.#file("etcd")}`,
      `--listen-client-urls=${at}`,
      `--advertise-client-urls=${at}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      "--unsafe-no-fsync", // nothing of it outlives the test
      "--log-level=error",
    ]);
    await this.startServer();
  }

  /** Starts the API server where it was before; resolves when it serves. */
  async startServer(): Promise<void> {
    const { ports, address, isForPods } = this.#place;
    this.#apiserver = this.run("apiserver", [
      `--etcd-servers=http://127.0.0.1:${ports.store}`,
      `--bind-address=${address}`,
      `--secure-port=${ports.api}`,
      `--cert-dir=${this.#file("certs")}`,
      `--token-auth-file=${this.#file("tokens.csv")}`,
      `--client-ca-file=${this.#file("ca.crt")}`,
      "--authorization-mode=RBAC",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${this.#file("sa.pub")}`,
      `--service-account-signing-key-file=${this.#file("sa.key")}`,
      "--service-cluster-ip-range=10.96.0.0/24",
      // Nobody routes addresses of services here: it asks those behind a service itself.
      "--enable-aggregator-routing=true",
      ...(isForPods
        ? [`--advertise-address=${address}`]
        : ["--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount"]),
      "--profiling=false",
      `--audit-policy-file=${this.#file("audit.yaml")}`,
      `--audit-log-path=${this.#file("audit.log")}`,
    ]);
    const ended = this.#apiserver.ended.then((how) => {
      throw new Error(`the API server ended with ${how}`);
    });
    await Promise.race([
      until(() => this.#isReady(), { what: "an API server", timeoutMs: 170_000 }),
      ended,
    ]);
  }

  /** Ends the API server as a crash does. The store stays. */
  async killServer(): Promise<void> {
    this.#apiserver?.child.kill("SIGKILL");
    await this.#apiserver?.ended;
  }

  /** Starts KWOK, and makes its node. */
  async startNodes(): Promise<void> {
    const api = await this.api();
    const labels = { "kubernetes.io/hostname": NODE };
    await api.make("/api/v1/nodes", { metadata: { name: NODE, labels } });
    this.run("kwok", [
      `--kubeconfig=${this.kubeconfigFile}`,
      `--config=${this.#file("stages.yaml")}`,
      `--manage-nodes-with-label-selector=kubernetes.io/hostname=${NODE}`,
      "--node-port=0",
      "--node-lease-duration-seconds=8", // well within the patience of the controllers
    ]);
  }

  /** Starts what makes pods of Deployments, takes them from nodes that are lost, and says which node they are for. */
  startControllers(): void {
    this.run("scheduler", [
      `--kubeconfig=${this.kubeconfigFile}`,
      "--leader-elect=false",
      "--secure-port=0",
    ]);
    this.run("controllers", [
      `--kubeconfig=${this.kubeconfigFile}`,
      `--service-account-private-key-file=${this.#file("sa.key")}`,
      `--root-ca-file=${this.authorityFile}`,
      "--leader-elect=false",
      "--secure-port=0",
      "--node-monitor-period=1s",
      "--node-monitor-grace-period=6s",
    ]);
  }

  async stop(): Promise<void> {
    await this.#place.guard.release();
  }

  async #isReady(): Promise<boolean> {
    if (!existsSync(this.authorityFile)) return false;
    const api = await this.api();
    return (await api.ask<string>("GET", "/readyz")) === "ok";
  }

  #file(name: string): string {
    return join(this.folder, name);
  }

  /** Starts one of the programs of a cluster; it ends with it. */
  run(tool: Exclude<keyof ClusterTools, "missing" | "kubelet">, args: readonly string[]): Program {
    const { tools, guard } = this.#place;
    const program = Program.start(tools[tool], {
      args,
      cwd: this.folder,
      detached: true,
      name: tool,
    });
    guard.watch(program.child);
    return program;
  }

  #openssl(...args: readonly string[]): void {
    execFileSync("openssl", args, { cwd: this.folder, stdio: "pipe" });
  }

  #kubeconfig(): string {
    const server = { server: this.server.href, "certificate-authority": this.authorityFile };
    // JSON is YAML, too.
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "own", cluster: server }],
      users: [{ name: "admin", user: { token: this.#token } }],
      contexts: [{ name: "own", context: { cluster: "own", user: "admin" } }],
      "current-context": "own",
    });
  }
}

const NEW_KEY = ["-newkey", "rsa:2048", "-nodes"];
