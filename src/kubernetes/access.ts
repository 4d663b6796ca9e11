import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";

/** How to come to an API server. */
export interface Access {
  readonly server: URL;
  /** PEM; unsaid: the authorities that this machine trusts. */
  readonly authority?: string;
  /** Read again for each request: the kubelet replaces it every hour. */
  readonly token: () => Promise<string | null>;
}

export interface AccessOptions {
  /** Unsaid: the cluster that this pod is in. */
  readonly server?: string;
  readonly tokenFile?: string;
  readonly authorityFile?: string;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** @throws {AgentRuntimeError} INVALID_CONFIG: what is missing, and what to do. */
export async function openAccess(
  options: AccessOptions,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Access> {
  const isInside = options.server === undefined;
  const tokenFile = options.tokenFile ?? (isInside ? join(SERVICE_ACCOUNT, "token") : undefined);
  const authorityFile =
    options.authorityFile ?? (isInside ? join(SERVICE_ACCOUNT, "ca.crt") : undefined);
  const server = serverOf(options.server ?? insideServer(env));
  const token = async (): Promise<string | null> =>
    tokenFile === undefined ? null : (await textOf(tokenFile, "--token-file")).trim();
  if ((await token()) !== null && server.protocol !== "https:" && !isLoopback(server)) {
    throw invalid("server", `a token is not sent to ${server.origin} in the clear: use https`);
  }
  if (authorityFile === undefined) return { server, token };
  return { server, token, authority: await textOf(authorityFile, "--ca-file") };
}

function insideServer(env: Readonly<Record<string, string | undefined>>): string {
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"] || "443";
  if (host) return `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  throw invalid(
    "server",
    "this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set): say --server, such as " +
      "http://127.0.0.1:8001 with `kubectl proxy`",
  );
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
