import { hostname } from "node:os";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { HttpStateClient } from "../client/http-client.ts";
import { openAccess } from "../kubernetes/access.ts";
import { KubernetesClient } from "../kubernetes/client.ts";
import { Finalizers, stripFinalizers } from "../reflector/finalizers.ts";
import { AGENT_LABEL, PODS } from "../reflector/kind.ts";
import { knownPods, knownSandboxes } from "../reflector/known.ts";
import { Leadership } from "../reflector/leadership.ts";
import { Reflector, sumOf } from "../reflector/reflector.ts";
import type { ReflectorFigures } from "../reflector/reflector.ts";
import { Sandboxes } from "../reflector/sandboxes.ts";
import { reflectorStatus } from "../reflector/status.ts";
import { StatusServer } from "../service/status-server.ts";
import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { createLogger } from "../service/log.ts";
import type { Logger } from "../service/log-port.ts";
import { listenArgument } from "./arguments.ts";
import { drainOption, openFacts, withFactOptions } from "./fact-options.ts";
import type { FactOptions } from "./fact-options.ts";
import { given } from "./given.ts";
import { withExamples } from "./help.ts";
import { writeLine } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

interface Flags extends FactOptions {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly podNamespace?: readonly string[];
  readonly selector: string;
  readonly sandboxes: boolean;
  readonly lead?: string;
  readonly sweep?: true;
  readonly finalizer?: true;
  readonly stripFinalizers?: true;
  readonly listen: { readonly host: string; readonly port: number };
  readonly drainMs: number;
}

/** Adds `reflector`: what tells what the API server knows of pods. */
export function addReflector(program: Command, terminal: Terminal): void {
  const command = program
    .command("reflector")
    .description("Reports what Kubernetes knows about the pods of agents (docs/kubernetes.md).")
    .option(
      "--server <url>",
      "URL of the API server (default: that of the cluster this pod runs in)",
    )
    .option(
      "--kubeconfig <file>",
      "use a kubeconfig (default outside a pod: $KUBECONFIG, ~/.kube/config)",
    )
    .option("--context <name>", "context of the kubeconfig (default: its current one)")
    .option(
      "--token-file <file>",
      "bearer token for the API server (default in a pod: its service account's)",
    )
    .option(
      "--ca-file <file>",
      "certificate authority of the API server (default in a pod: the cluster's)",
    )
    .addOption(
      new Option(
        "--pod-namespace <names>",
        "only pods in these Kubernetes namespaces: a,b",
      ).argParser(namesArgument),
    )
    .option("--selector <labels>", "only pods with these labels; '' for all", AGENT_LABEL)
    .option("--no-sandboxes", "ignore Sandbox objects of agents.x-k8s.io")
    .option(
      "--lead <name>",
      "elect one leader among the reflectors with this name; the others stand by",
    )
    .option("--sweep", "report pods as gone that the service knows and the cluster does not have")
    .option(
      "--finalizer",
      "keep each pod until the service has recorded its end (docs/kubernetes.md)",
    )
    .option("--strip-finalizers", "remove that finalizer from all pods, and exit")
    .addOption(
      new Option("--listen <host:port>", "where /healthz, /readyz and /metrics are served")
        .default({ host: "127.0.0.1", port: 8088 }, "127.0.0.1:8088")
        .argParser(listenArgument),
    )
    .addOption(drainOption())
    .action((flags: Flags) => reflect(flags, terminal));
  withExamples(withFactOptions(command), [
    ["agent_runtime reflector --url http://agent-state:8080", "in a pod with a service account"],
    ["agent_runtime reflector --server http://127.0.0.1:8001", "beside `kubectl proxy`"],
  ]);
}

async function reflect(flags: Flags, terminal: Terminal): Promise<void> {
  const { server, tokenFile, caFile, kubeconfig, context } = flags;
  const log = createLogger({
    level: "info",
    format: "json",
    write: (line) => void terminal.stderr.write(line),
  });
  const access = await openAccess(
    given({ server, tokenFile, authorityFile: caFile, kubeconfig, context }),
    terminal.env,
  );
  const kubernetes = new KubernetesClient(access);
  if (flags.stripFinalizers) await strip(kubernetes, flags, terminal);
  else await follow(kubernetes, flags, { terminal, log });
}

async function follow(
  kubernetes: KubernetesClient,
  flags: Flags,
  { terminal, log }: { readonly terminal: Terminal; readonly log: Logger },
): Promise<void> {
  const { sink, close } = await openFacts(flags, { terminal, log });
  const client = flags.sweep || flags.finalizer || flags.lead ? clientOf(flags) : null;
  const known = flags.sweep ? client : null;
  const finalizers =
    flags.finalizer && client !== null
      ? new Finalizers({
          client: kubernetes,
          isCommitted: (podUid, signal) => isDeleted(client, podUid, signal),
          log,
        })
      : null;
  const namespaces = flags.podNamespace ?? [null];
  const common = { client: kubernetes, sink, clock: systemClock, log } as const;
  const reflectors = namespaces.map(
    (namespace) =>
      new Reflector({
        ...common,
        kind: PODS,
        known: known && ((...how) => knownPods(known, ...how)),
        onObject: (pod) => finalizers?.see(pod),
        namespace,
        selector: flags.selector,
      }),
  );
  const sandboxes = new Sandboxes({
    ...common,
    known: known && ((...how) => knownSandboxes(known, ...how)),
    namespaces,
    // Its own labels need not say which agent it is for: those of its pod may.
    selector: flags.selector === AGENT_LABEL ? "" : flags.selector,
    all: flags.selector !== AGENT_LABEL,
  });
  const all = flags.sandboxes ? [...reflectors, sandboxes] : reflectors;
  const reflectAll = async (signal: AbortSignal): Promise<void> => {
    await Promise.all(all.map((each) => each.run(signal)));
  };
  const leadership = client && flags.lead ? leadershipOf(flags.lead, client, log) : null;
  const figures = (): ReflectorFigures => sumOf(reflectors.map((each) => each.figures));
  const told = (): Readonly<Record<string, number | boolean>> => ({
    ...sink.figures,
    sinkFailures: sink.figures.failures,
    ...figures(),
    sandboxes: sandboxes.figures.pods,
    held: finalizers?.due ?? 0,
    leads: leadership === null || leadership.epoch !== null,
    epoch: Number(leadership?.epoch ?? 0n),
  });
  const status = new StatusServer({
    ...reflectorStatus(told, () => leadership?.standsBy || figures().synced),
    ...flags.listen,
  });
  try {
    await writeLine(terminal.stdout, `agent_runtime reflector at ${await status.start()}`);
    finalizers?.start();
    await (leadership?.run(reflectAll, terminal.signal) ?? reflectAll(terminal.signal));
  } finally {
    await finalizers?.stop();
    await status.stop();
    await close({ drainMs: flags.drainMs });
    await client?.close();
  }
}

function leadershipOf(name: string, { tasks }: HttpStateClient, log: Logger): Leadership {
  const worker = `reflector ${hostname()} ${process.pid}`;
  return new Leadership({ tasks, name, worker, clock: systemClock, log });
}

/** Of all pods, whatever their labels: they may have lost those since. */
async function strip(
  kubernetes: KubernetesClient,
  { podNamespace }: Flags,
  { stdout, signal }: Terminal,
): Promise<void> {
  const paths = podNamespace?.map((name) => `/api/v1/namespaces/${name}/pods`) ?? ["/api/v1/pods"];
  let stripped = 0;
  for (const path of paths) stripped += await stripFinalizers(kubernetes, path, signal);
  await writeLine(stdout, `removed the finalizer from ${stripped} pods`);
}

async function isDeleted(
  client: HttpStateClient,
  podUid: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const state = await client.getState(`pod:${podUid}`, { consistency: "strong", signal });
    return state.phase === "deleted";
  } catch (error) {
    const code = error instanceof AgentRuntimeError ? error.code : null;
    // It is kept for a while after its end, and then forgotten.
    if (code === "GONE") return true;
    if (code === "STATE_NOT_FOUND") return false;
    throw error;
  }
}

/** Names in one option or in several. */
function namesArgument(text: string, before: readonly string[] = []): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))) {
    return [...new Set([...before, ...names])];
  }
  throw new InvalidArgumentError("It must be names of namespaces: a,b.");
}

/** Of the service, which is asked what it knows. */
function clientOf({ url, token, namespace }: Flags): HttpStateClient {
  const known = given({ token: token || undefined, namespace: namespace || undefined });
  return HttpStateClient.open({ url, ...known });
}
