import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config, OptionKey } from "../config/options.ts";
import { variableOf } from "../config/options.ts";
import { WEBHOOK_OPTIONS } from "../config/webhook-options.ts";
import { systemClock } from "../service/clock.ts";
import { createLogger } from "../service/log.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { Certificate } from "../webhook/certificate.ts";
import { StatusServer } from "../service/status-server.ts";
import { webhookStatus } from "../webhook/status.ts";
import { WebhookServer } from "../webhook/webhook-server.ts";
import { configFlag } from "./config-flag.ts";
import { FACT_VARIABLES } from "./fact-options.ts";
import { given } from "./given.ts";
import { withExamples } from "./help.ts";
import { CLIENT_VARIABLES } from "./service-options.ts";
import { writeLine } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

interface Flags {
  readonly config?: string;
  /** The flags of the configuration, by their names. */
  readonly [flag: string]: unknown;
}

/** Without these there is nothing to do. */
const NEEDED = ["webhook.image", "webhook.certFile", "webhook.keyFile"] as const;

/** Adds `webhook`: what puts the sidecar for hooks into pods that ask for it by a label. */
export function addWebhook(program: Command, terminal: Terminal): void {
  const command = program
    .command("webhook")
    .description("Injects the hook sidecar into pods labelled for it (docs/pods.md).")
    .option("--config <file>", "configuration file (default: agent_runtime.yaml, if there is one)")
    .action((flags: Flags) => serve(flags, terminal));
  command.optionsGroup("Settings of webhook:");
  for (const key of Object.keys(WEBHOOK_OPTIONS)) command.addOption(configFlag(key as OptionKey));
  for (const key of ["log.level", "log.format"] as const) command.addOption(configFlag(key));
  withExamples(command, [
    [
      "agent_runtime webhook --webhook-image IMAGE --webhook-cert-file tls.crt --webhook-key-file tls.key",
      "serve a MutatingWebhookConfiguration",
    ],
    ["agent_runtime webhook --config webhook.yaml", "with the webhook.* settings in a file"],
  ]);
}

async function serve({ config: file, ...flags }: Flags, terminal: Terminal): Promise<void> {
  const { cwd, env, signal, stdout, stderr } = terminal;
  const otherVariables = [...CLIENT_VARIABLES, ...FACT_VARIABLES];
  const config = loadConfig({ flags, env, cwd, otherVariables, ...given({ file }) });
  refuseMissing(config);
  const log = createLogger({ ...config.log, write: (line) => void stderr.write(line) });
  const { listen, statusListen, reloadMs, certFile, keyFile, ...sidecar } = config.webhook;
  const certificate = await Certificate.open({ certFile, keyFile });
  const webhook = new WebhookServer({ certificate, sidecar, ...listen, reloadMs, log });
  const { figures } = webhook;
  const status = new StatusServer({ ...webhookStatus(figures, systemClock), ...statusListen });
  try {
    const told = `agent_runtime webhook at ${await webhook.start()}, status at ${await status.start()}`;
    await writeLine(stdout, told);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  } finally {
    await webhook.stop();
    await status.stop();
  }
}

function refuseMissing({ webhook }: Config): void {
  const values = { image: webhook.image, certFile: webhook.certFile, keyFile: webhook.keyFile };
  const missing = NEEDED.filter((key) => values[key.replace("webhook.", "") as "image"] === "");
  if (missing.length === 0) return;
  const list = missing.map((key) => `${key} (${variableOf(key)})`).join(", ");
  throw new AgentRuntimeError("INVALID_CONFIG", `the webhook needs ${list}`, {
    field: missing[0]!,
  });
}
