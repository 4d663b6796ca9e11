import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { kubeconfigFiles, readKubeconfig } from "./kubeconfig.ts";
import type { Kubeconfig } from "./kubeconfig.ts";

/** How to come to an API server. */
export interface Access {
  readonly server: URL;
  /** PEM; unsaid: the authorities that this machine trusts. */
  readonly authority?: string;
  /** The name in its certificate; unsaid: that of its address. */
  readonly serverName?: string;
  /** Who asks, by certificate: PEM. */
  readonly certificate?: string;
  readonly key?: string;
  /** Read again for each request: the kubelet replaces it every hour. */
  readonly token: () => Promise<string | null>;
}

export interface AccessOptions {
  /** Unsaid: the cluster that this pod is in, else the one of a kubeconfig. */
  readonly server?: string;
  readonly tokenFile?: string;
  readonly authorityFile?: string;
  readonly kubeconfig?: string;
  /** Of the kubeconfig; unsaid: its current one. */
  readonly context?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** @throws {AgentRuntimeError} INVALID_CONFIG: what is missing, and what to do. */
export async function openAccess(options: AccessOptions, env: Environment): Promise<Access> {
  const known = await knownFrom(options, env);
  const { tokenFile = known.tokenFile, authorityFile } = options;
  const authority =
    authorityFile === undefined ? known.authority : await textOf(authorityFile, "--ca-file");
  const { certificate, key, serverName } = known;
  const server = serverOf(options.server ?? known.server);
  const token = async (): Promise<string | null> => {
    if (tokenFile === undefined) return known.token ?? null;
    return (await textOf(tokenFile, "--token-file")).trim();
  };
  if ((await token()) !== null && server.protocol !== "https:" && !isLoopback(server)) {
    throw invalid("server", `a token is not sent to ${server.origin} in the clear: use https`);
  }
  return { server, token, ...definedOnly({ authority, serverName, certificate, key }) };
}

/** What is said elsewhere than in the options: nothing, in the pod, or in a kubeconfig. */
async function knownFrom(options: AccessOptions, env: Environment): Promise<Kubeconfig> {
  const { server, kubeconfig, context } = options;
  const isAsked = kubeconfig !== undefined || context !== undefined;
  if (server !== undefined && !isAsked) return { server };
  if (!isAsked && env["KUBERNETES_SERVICE_HOST"]) return await insideServer(env, options);
  const files = kubeconfig === undefined ? kubeconfigFiles(env) : [kubeconfig];
  if (files.length > 0) return await readKubeconfig(files, context);
  throw invalid(
    "server",
    "this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set) and there is no kubeconfig: " +
      "say --kubeconfig, or --server, such as http://127.0.0.1:8001 with `kubectl proxy`",
  );
}

async function insideServer(env: Environment, options: AccessOptions): Promise<Kubeconfig> {
  const host = env["KUBERNETES_SERVICE_HOST"]!;
  const port = env["KUBERNETES_SERVICE_PORT"] || "443";
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const tokenFile = join(SERVICE_ACCOUNT, "token");
  if (options.authorityFile !== undefined) return { server, tokenFile };
  const authority = await textOf(join(SERVICE_ACCOUNT, "ca.crt"), "--ca-file");
  return { server, tokenFile, authority };
}

function serverOf(text: string): URL {
  const server = URL.canParse(text) ? new URL(text) : null;
  if (server !== null && /^https?:$/.test(server.protocol)) return server;
  throw invalid("server", "the API server must be an address like https://10.0.0.1:6443");
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

async function textOf(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const why = `cannot read ${file}: ${(cause as Error).message}; say another with ${option}`;
    throw new AgentRuntimeError("INVALID_CONFIG", why, { cause });
  }
}

function invalid(field: string, message: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_CONFIG", message, { field });
}
