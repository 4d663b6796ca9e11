import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { plainObjects } from "../deploy/objects.ts";
import { Authority } from "../support/certificates.ts";
import { startProgram, startService } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import { until } from "../support/until.ts";
import type { WholeCluster } from "./on-node.ts";
import { REAL_NODE } from "./own-node.ts";
import { makeReflectorAccount } from "./role.ts";

const TOKEN = "of-a-writer-in-a-test";
const SECRET = "agent-runtime-facts";
const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/** The service and all who tell it of pods, as programs beside a cluster. */
export interface AllPrograms {
  readonly url: string;
  readonly client: HttpStateClient;
  /** Where pods are. */
  readonly namespace: string;
  readonly captor: Child;
  readonly reflector: Child;
  readonly stop: () => Promise<void>;
}

export async function startAllPrograms({
  cluster,
  node,
  image,
}: WholeCluster): Promise<AllPrograms> {
  const folder = mkdtempSync(join(tmpdir(), "art-all-"));
  const { machine } = node.containerd.network;
  const tokens = JSON.stringify([{ name: "pods", token: TOKEN, role: "writer" }]);
  const service = await startService(["--listen", `${machine}:0`], {
    cwd: folder,
    env: { AGENT_RUNTIME_AUTH_TOKENS: tokens },
    timeoutMs: 120_000,
  });
  const { url } = service;
  const client = HttpStateClient.open({ url, token: TOKEN });
  const to = (name: string): Flags => ({ url, spool: join(folder, name) });
  const env = { AGENT_RUNTIME_TOKEN: TOKEN };
  const captor = await startProgram(
    programLine("captor", {
      "captor-containerd": node.containerd.socket,
      "captor-node": REAL_NODE,
      "captor-listen": "127.0.0.1:0",
      ...to("captor"),
    }),
    { cwd: folder, env },
  );
  const api = await cluster.api();
  const { namespace, token } = await makeReflectorAccount(api);
  writeFileSync(join(folder, "token"), token);
  const reflector = await startProgram(
    programLine("reflector", {
      server: cluster.server.href,
      "ca-file": cluster.authorityFile,
      "token-file": join(folder, "token"),
      listen: "127.0.0.1:0",
      ...to("reflector"),
    }),
    { cwd: folder, env },
  );
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;
  await api.make(secrets, {
    metadata: { name: SECRET },
    stringData: { AGENT_RUNTIME_TOKEN: TOKEN },
  });
  const authority = new Authority();
  const webhook = await startWebhook({ authority, image, url });
  await api.make(CONFIGURATIONS, registration(webhook.url, authority));
  await Promise.all([captor, reflector].map((each) => isReady(each)));
  return {
    url,
    client,
    namespace,
    captor,
    reflector,
    stop: async () => {
      await client.close();
      await Promise.all([captor, reflector, webhook.child].map((each) => each.kill("SIGTERM")));
      await service.child.kill("SIGTERM");
      authority.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type Flags = Readonly<Record<string, string>>;

function programLine(command: string, flags: Flags): readonly string[] {
  return [command, ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)];
}

async function startWebhook(how: {
  readonly authority: Authority;
  readonly image: string;
  readonly url: string;
}): Promise<{ readonly child: Child; readonly url: string }> {
  const { cert, key } = how.authority.issue("webhook");
  const child = await startProgram(
    programLine("webhook", {
      "webhook-image": how.image,
      "webhook-pull-policy": "Never",
      "webhook-url": how.url,
      "webhook-secret": SECRET,
      "webhook-listen": "127.0.0.1:0",
      "webhook-status-listen": "127.0.0.1:0",
      "webhook-cert-file": cert,
      "webhook-key-file": key,
    }),
  );
  const [, url] = await child.says(/webhook at (\S+),/);
  return { child, url: url! };
}

/** That of the manifests, but for where the webhook is: not behind a Service here. */
function registration(url: string, authority: Authority): object {
  const found = plainObjects().find(({ kind }) => kind === "MutatingWebhookConfiguration")!;
  const [webhook] = found.webhooks as [
    { readonly clientConfig: { readonly service: { readonly path: string } } },
  ];
  const caBundle = readFileSync(join(authority.folder, "ca.pem")).toString("base64");
  const at = new URL(webhook.clientConfig.service.path, url).href;
  return { ...found, webhooks: [{ ...webhook, clientConfig: { url: at, caBundle } }] };
}

async function isReady(child: Child): Promise<void> {
  const [, at] = await child.says(/(http:\/\/[^\s,]+)/);
  await until(async () => (await fetch(new URL("/readyz", at))).ok, { what: `${at} is ready` });
}
