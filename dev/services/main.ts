// `npm run services`: the servers of the full architecture on this machine, until Ctrl-C.
import { HELP, readArguments } from "./command-line.ts";
import type { Wanted } from "./command-line.ts";
import { reportJson, reportText } from "./report.ts";
import { startServices } from "./services.ts";
import { provideParts } from "./tools.ts";

await main();

async function main(): Promise<void> {
  const wanted = read();
  if (wanted === undefined) return;
  if (wanted.help) {
    process.stdout.write(HELP);
    return;
  }
  try {
    await run(wanted);
  } catch (error) {
    console.error(`services: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

function read(): Wanted | undefined {
  try {
    return readArguments(process.argv.slice(2));
  } catch (error) {
    console.error(`services: ${(error as Error).message}`);
    process.exitCode = 2;
    return undefined;
  }
}

async function run(wanted: Wanted): Promise<void> {
  const stopped = untilSignal(); // from now on, as one may come while they start
  const running = await startServices({
    ...wanted,
    parts: provideParts(),
    onEnded: (name, how) => console.error(`services: ${name} ended (${how}); the others go on`),
  });
  const isKept = wanted.folder !== undefined;
  console.log(wanted.json ? reportJson(running) : reportText(running, isKept));
  const alive = setInterval(() => undefined, 2 ** 30); // even where no server is left
  await stopped;
  clearInterval(alive);
  await running.stop();
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => resolve());
    }
  });
}
