import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { AgentRuntimeError } from "../state/errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What a context of a kubeconfig says: PEM is read, other files are paths. */
export interface Kubeconfig {
  readonly server: string;
  readonly authority?: string;
  /** The name in its certificate, where that is not the one of its address. */
  readonly serverName?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly certificate?: string;
  readonly key?: string;
}

interface Named {
  readonly kind: "cluster" | "user" | "context";
  readonly name: string;
  readonly fields: Fields;
  /** Its paths are said from there. */
  readonly file: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Where one is looked for, as kubectl does; empty: there is none. */
export function kubeconfigFiles(env: Environment): string[] {
  const named = (env["KUBECONFIG"] ?? "").split(delimiter).filter((file) => file !== "");
  if (named.length > 0) return named;
  const usual = join(env["HOME"] || homedir(), ".kube", "config");
  return existsSync(usual) ? [usual] : [];
}

/**
 * Reads one context, unsaid the current one. Of several files the first that says a name counts.
 *
 * @throws {AgentRuntimeError} INVALID_CONFIG: what is missing, or cannot be done here, and what to do instead.
 */
export async function readKubeconfig(
  files: readonly string[],
  context?: string,
): Promise<Kubeconfig> {
  const contents = await Promise.all(files.map((file) => readOne(file)));
  const all = contents.flatMap(({ named }) => named);
  const current =
    context ?? contents.map((each) => each.current).find((name) => name !== undefined);
  if (current === undefined) {
    throw invalid(`${files.join(", ")} says no current-context: choose one with --context`);
  }
  const { fields, file } = find(all, "context", current);
  const cluster = find(all, "cluster", textIn(fields, "cluster", file));
  const user = find(all, "user", textIn(fields, "user", file));
  return { ...(await clusterOf(cluster)), ...(await userOf(user)) };
}

async function readOne(file: string): Promise<{ current?: string; named: Named[] }> {
  const content = toFields(parsed(await read(file, "the kubeconfig"), file), file);
  const named = (["cluster", "user", "context"] as const).flatMap((kind) => {
    const entries = content[`${kind}s`];
    return (Array.isArray(entries) ? entries : []).map((entry): Named => {
      const one = toFields(entry, file);
      return { kind, name: String(one["name"]), fields: toFields(one[kind] ?? {}, file), file };
    });
  });
  const current = content["current-context"];
  return typeof current === "string" && current !== "" ? { current, named } : { named };
}

async function clusterOf(cluster: Named): Promise<Omit<Kubeconfig, "token">> {
  const { name, fields, file } = cluster;
  const about = `cluster ${name} of ${file}`;
  if (fields["insecure-skip-tls-verify"] === true) {
    throw invalid(`${about} says insecure-skip-tls-verify: say certificate-authority instead`);
  }
  if (fields["proxy-url"] !== undefined) {
    throw invalid(`${about} says proxy-url, which is not known here: say --server`);
  }
  const authority = await pem(cluster, "certificate-authority");
  const serverName = fields["tls-server-name"];
  return {
    server: textIn(fields, "server", file),
    ...(authority === undefined ? {} : { authority }),
    ...(typeof serverName === "string" ? { serverName } : {}),
  };
}

async function userOf(user: Named): Promise<Omit<Kubeconfig, "server">> {
  const { fields, file } = user;
  refuseOtherWays(user);
  const certificate = await pem(user, "client-certificate");
  const key = await pem(user, "client-key");
  if ((certificate === undefined) !== (key === undefined)) {
    throw invalid(
      `user ${user.name} of ${file} has a client-certificate without a client-key, or the other way`,
    );
  }
  const { token, tokenFile } = fields as { readonly token?: unknown; readonly tokenFile?: unknown };
  const isGiven = typeof token === "string" && token !== "";
  return {
    ...(certificate === undefined || key === undefined ? {} : { certificate, key }),
    ...(typeof tokenFile === "string" ? { tokenFile: resolve(dirname(file), tokenFile) } : {}),
    ...(isGiven && typeof tokenFile !== "string" ? { token } : {}),
  };
}

/** Whoever is to be let in by a program, or as somebody else, is told so now and not by a 401. */
function refuseOtherWays({ name, fields, file }: Named): void {
  const about = `user ${name} of ${file}`;
  const instead =
    "give a token (`kubectl create token ACCOUNT > FILE`, --token-file FILE) or a client-certificate";
  if (fields["exec"] !== undefined) {
    const { command } = toFields(fields["exec"], file);
    throw invalid(
      `${about} is let in by the program ${String(command)}, which is not run here: ${instead}`,
    );
  }
  for (const way of ["auth-provider", "username", "password", "as"]) {
    if (fields[way] === undefined) continue;
    throw invalid(`${about} says ${way}, which is not known here: ${instead}`);
  }
}

function find(all: readonly Named[], kind: Named["kind"], name: string): Named {
  const found = all.find((each) => each.kind === kind && each.name === name);
  if (found !== undefined) return found;
  const names = all.filter((each) => each.kind === kind).map((each) => each.name);
  const there = names.length === 0 ? "there is none" : `there is ${names.join(", ")}`;
  throw invalid(`the kubeconfig has no ${kind} ${name}; ${there}`);
}

/** Said in the file itself, or in one beside it. */
async function pem({ fields, file }: Named, name: string): Promise<string | undefined> {
  const data = fields[`${name}-data`];
  if (typeof data === "string" && data !== "") return Buffer.from(data, "base64").toString("utf8");
  const path = fields[name];
  if (typeof path !== "string" || path === "") return undefined;
  return await read(resolve(dirname(file), path), name);
}

function textIn(fields: Fields, name: string, file: string): string {
  const text = fields[name];
  if (typeof text === "string" && text !== "") return text;
  throw invalid(`${file} says no ${name} where it should`);
}

function toFields(value: unknown, file: string): Fields {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (isObject) return value as Fields;
  throw invalid(`${file} is no kubeconfig`);
}

function parsed(text: string, file: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      `${file} is not YAML: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

async function read(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const why = `cannot read ${file} (${what}): ${(cause as Error).message}`;
    throw new AgentRuntimeError("INVALID_CONFIG", why, { cause });
  }
}

function invalid(message: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_CONFIG", message, { field: "kubeconfig" });
}
