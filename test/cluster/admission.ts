import { mkdirSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { KubernetesObject } from "../deploy/objects.ts";
import { startProgram } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { Applier } from "./objects.ts";

const NAME = "agent-runtime-webhook";
const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/** The certificate of a webhook and its key: PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
  /** Who vouches for it; unsaid: the registration says so itself. */
  readonly authority?: string;
}

/** What may be different from what is in the manifests. */
interface Change {
  readonly failurePolicy?: "Fail" | "Ignore";
  /** PEM: who is believed. */
  readonly authority?: string | undefined;
}

/**
 * The webhook of some manifests: its program runs with their configuration, and an API server finds it by their
 * Service and trusts it as their MutatingWebhookConfiguration says.
 */
export class Admission {
  readonly #api: ClusterApi;
  readonly #objects: readonly KubernetesObject[];
  readonly #place: { readonly folder: string; readonly namespace: string };
  readonly #pair: Pair;
  #child: Child | undefined;
  #listen = `${ownAddress()}:0`;
  #status = "";

  constructor(
    api: ClusterApi,
    objects: readonly KubernetesObject[],
    { folder, namespace, ...pair }: Pair & { readonly folder: string; readonly namespace: string },
  ) {
    this.#api = api;
    this.#objects = objects;
    this.#place = { folder, namespace };
    this.#pair = pair;
  }

  get pid(): number {
    return this.#child!.pid;
  }

  /** Starts the program, where it was before if there was one. */
  async start(): Promise<void> {
    const { folder } = this.#place;
    mkdirSync(folder, { recursive: true });
    const write = (file: string, text: string): string => {
      writeFileSync(join(folder, file), text, { mode: 0o600 });
      return join(folder, file);
    };
    const { data } = this.#one("ConfigMap");
    this.#child = await startProgram([
      "webhook",
      `--config=${write("agent_runtime.yaml", (data as Record<string, string>)["agent_runtime.yaml"]!)}`,
      `--webhook-cert-file=${write("tls.crt", this.#pair.cert)}`,
      `--webhook-key-file=${write("tls.key", this.#pair.key)}`,
      `--webhook-listen=${this.#listen}`,
      "--webhook-status-listen=127.0.0.1:0",
    ]);
    const [, address, status] = await this.#child.says(/ at https:\/\/(\S+?)\/\S+ status at (\S+)/);
    this.#listen = address!;
    this.#status = status!;
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#child?.kill();
  }

  /** Questions so far, by how they ended. */
  async reviews(): Promise<Readonly<Record<string, number>>> {
    const answer = (await (await fetch(`${this.#status}/healthz`)).json()) as {
      readonly reviews: Record<string, number>;
    };
    return answer.reviews;
  }

  /** Makes its Service, and says who is behind it: nobody else does that here. */
  async expose(): Promise<void> {
    const { namespace } = this.#place;
    const service = this.#one("Service");
    const applier = new Applier(this.#api);
    await applier.make({ ...service, metadata: { ...service.metadata, namespace } });
    const [address, port] = this.#listen.split(":");
    await this.#api.make(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
      metadata: { name: NAME, labels: { "kubernetes.io/service-name": NAME } },
      addressType: "IPv4",
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: "https", port: Number(port), protocol: "TCP" }],
    });
  }

  /** Has the API server ask it from now on, or soon. */
  async register({ authority = this.#pair.authority, ...change }: Change = {}): Promise<void> {
    const configuration = this.#one("MutatingWebhookConfiguration");
    await this.#api.make(CONFIGURATIONS, configuration);
    const [webhook] = configuration.webhooks as readonly [{ readonly clientConfig: object }];
    const believed =
      authority === undefined ? {} : { caBundle: Buffer.from(authority).toString("base64") };
    const clientConfig = { ...webhook.clientConfig, ...believed };
    await this.#api.ask("PATCH", `${CONFIGURATIONS}/${NAME}`, {
      webhooks: [{ ...webhook, ...change, clientConfig }],
    });
  }

  #one(kind: string): KubernetesObject {
    const found = this.#objects.find((each) => each.kind === kind && each.metadata.name === NAME);
    if (found === undefined) throw new Error(`there is no ${kind} ${NAME}`);
    return found;
  }
}

/** One that others reach: an API server takes none of the loopback for what is behind a service. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const found = all.find(({ family, internal }) => family === "IPv4" && !internal);
  if (found === undefined) throw new Error("this machine has no address but those of the loopback");
  return found.address;
}
