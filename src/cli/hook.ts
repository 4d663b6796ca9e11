import { Argument, Option } from "commander";
import type { Command } from "commander";
import { HookServer } from "../hook/hook-server.ts";
import { HOOKS, hookFact, podIdentityOf } from "../hook/pod-identity.ts";
import type { Hook } from "../hook/pod-identity.ts";
import { systemClock } from "../service/clock.ts";
import { createLogger } from "../service/log.ts";
import type { Logger } from "../service/log-port.ts";
import { listenArgument, wholeNumber } from "./arguments.ts";
import { drainOption, openFacts, withFactOptions } from "./fact-options.ts";
import type { FactOptions } from "./fact-options.ts";
import { withExamples } from "./help.ts";
import { writeLine } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

interface ServeFlags extends FactOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly drainMs: number;
}

interface ExecFlags extends FactOptions {
  readonly container: string;
  readonly withinMs: number;
}

/** Adds `hook`: what tells that a container of this pod has started, or is about to stop. */
export function addHook(program: Command, terminal: Terminal): void {
  const hook = program
    .command("hook")
    .description("Reports this pod's lifecycle hooks (docs/pods.md).")
    .usage("[command] [options]");
  const serve = hook
    .command("serve", { isDefault: true })
    .description("answer hooks over HTTP, as a sidecar (the default)")
    .addOption(
      new Option(
        "--listen <host:port>",
        "where to listen; the kubelet connects to the pod's address",
      )
        .env("AGENT_RUNTIME_HOOK_LISTEN")
        .default({ host: "0.0.0.0", port: 8087 }, "0.0.0.0:8087")
        .argParser(listenArgument),
    )
    .addOption(drainOption())
    .action((flags: ServeFlags) => serveHooks(flags, terminal));
  withExamples(withFactOptions(serve), [
    [
      "agent_runtime hook --url http://agent-state:8080",
      "GET /v1/hooks/CONTAINER/postStart, .../preStop",
    ],
    ["agent_runtime hook --to rocketmq", "send directly to RocketMQ"],
  ]);
  const exec = hook
    .command("exec")
    .description("report one hook and exit; for use as an exec hook")
    .addArgument(new Argument("<hook>", "the hook to report").choices(HOOKS))
    .requiredOption("--container <name>", "the container that the hook belongs to")
    .option(
      "--within-ms <n>",
      "how long to wait until the fact is taken",
      wholeNumber(0, 60_000),
      1_000,
    )
    .action((name: Hook, flags: ExecFlags) => tellOnce(name, flags, terminal));
  withExamples(withFactOptions(exec), [
    ["agent_runtime hook exec preStop --container main", "in lifecycle.preStop.exec.command"],
  ]);
}

async function serveHooks(flags: ServeFlags, terminal: Terminal): Promise<void> {
  const log = logOf(terminal);
  const pod = podIdentityOf(terminal.env);
  const { sink, close } = await openFacts(flags, { terminal, log });
  const server = new HookServer({ pod, sink, ...flags.listen, clock: systemClock, log });
  await writeLine(terminal.stdout, `agent_runtime hook at ${await server.start()}`);
  await new Promise<void>((resolve) => {
    if (terminal.signal.aborted) resolve();
    terminal.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.stop();
  await close({ drainMs: flags.drainMs });
}

/** Whatever becomes of it, the container goes on: a hook that fails kills it, and its fact is only a hint. */
async function tellOnce(hook: Hook, flags: ExecFlags, terminal: Terminal): Promise<void> {
  const { container, withinMs } = flags;
  const fact = hookFact(podIdentityOf(terminal.env), { container, hook, at: systemClock.now() });
  try {
    const { sink, close } = await openFacts(flags, { terminal, log: logOf(terminal) });
    await sink.publish([fact]);
    await close({ drainMs: withinMs });
    const { waiting } = sink.figures;
    const told = waiting === 0 ? "reported" : `${waiting} facts wait in ${flags.spool}`;
    await writeLine(terminal.stdout, `${hook} of ${container}: ${told}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    await writeLine(
      terminal.stderr,
      `agent_runtime: ${hook} of ${container} was not reported: ${why}`,
    );
  }
}

function logOf({ stderr }: Terminal): Logger {
  return createLogger({ level: "warn", format: "json", write: (line) => void stderr.write(line) });
}
