import { Option } from "commander";
import type { Command } from "commander";
import { HttpStateClient } from "../client/http-client.ts";
import { given } from "./given.ts";
import type { Terminal } from "./terminal.ts";

/** How a command reaches the service, and how it prints. */
export interface ServiceOptions {
  readonly url: string;
  readonly token?: string;
  readonly namespace?: string;
  readonly json?: true;
}

/** The variables that the commands read; the configuration of the service has its own. */
export const CLIENT_VARIABLES = [
  "AGENT_RUNTIME_URL",
  "AGENT_RUNTIME_TOKEN",
  "AGENT_RUNTIME_NAMESPACE",
] as const;

const DEFAULT_URL = "http://127.0.0.1:8080";

/** The command with the options that every command but serve has. */
export function withServiceOptions(command: Command): Command {
  return command
    .optionsGroup("The service:")
    .addOption(
      new Option("--url <url>", "its address").env("AGENT_RUNTIME_URL").default(DEFAULT_URL),
    )
    .addOption(
      new Option(
        "--token <token>",
        "bearer token; prefer the variable: other users can read a command line",
      ).env("AGENT_RUNTIME_TOKEN"),
    )
    .addOption(
      new Option("--namespace <name>", "namespace of the states").env("AGENT_RUNTIME_NAMESPACE"),
    )
    .option("--json", "print JSON for programs");
}

/** What a command that is shown to the user must have to reach the same service and namespace. */
export function flagsToRepeat(options: ServiceOptions, terminal: Terminal): string {
  const { url, namespace } = options;
  const known = terminal.env["AGENT_RUNTIME_URL"] || DEFAULT_URL;
  const at = url === known ? "" : ` --url ${url}`;
  const whose =
    namespace === terminal.env["AGENT_RUNTIME_NAMESPACE"] ? "" : ` --namespace ${namespace}`;
  return `${at}${whose}`;
}

/** Runs `work` with a client of the service, and closes it. */
export async function withClient<Result>(
  options: ServiceOptions,
  work: (client: HttpStateClient) => Promise<Result>,
): Promise<Result> {
  const { url, token, namespace } = options;
  // A variable that is set to nothing counts as not set.
  const client = HttpStateClient.open({
    url: url || DEFAULT_URL,
    ...given({ token: token || undefined, namespace: namespace || undefined }),
  });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The options of a call that ends when the user wants to stop. */
export function callOptions(terminal: Terminal): { readonly signal: AbortSignal } {
  return { signal: terminal.signal };
}
