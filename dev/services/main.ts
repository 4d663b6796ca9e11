// `npm run services`: the servers of the full architecture on this machine, until Ctrl-C.
import { join } from "node:path";
import type { Parts } from "../../scripts/parts.d.mts";
import { HELP, readArguments } from "./command-line.ts";
import type { Wanted } from "./command-line.ts";
import { reportJson, reportText } from "./report.ts";
import { startRedis } from "./redis.ts";
import type { Redis } from "./redis.ts";
import { startRocketmq } from "./rocketmq.ts";
import type { Rocketmq } from "./rocketmq.ts";
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
  const parts = provideParts();
  const running = await startServices({
    ...wanted,
    parts,
    onEnded: (name, how) => console.error(`services: ${name} ended (${how}); the others go on`),
  });
  const rocketmq = await openRocketmq(wanted, parts).catch(async (error: unknown) => {
    await running.stop();
    throw error;
  });
  const redis = await openRedis(wanted, parts).catch(async (error: unknown) => {
    await Promise.all([running.stop(), rocketmq?.stop()]);
    throw error;
  });
  const isKept = wanted.folder !== undefined;
  const all = { ...running, rocketmq: rocketmq?.address, redis: redis?.address };
  console.log(wanted.json ? reportJson(all) : reportText(all, isKept));
  const alive = setInterval(() => undefined, 2 ** 30); // even where no server is left
  await stopped;
  clearInterval(alive);
  await Promise.all([running.stop(), rocketmq?.stop(), redis?.stop()]);
}

async function openRocketmq(
  { rocketmq, folder }: Wanted,
  { rocketmq: tools }: Parts,
): Promise<Rocketmq | undefined> {
  if (!rocketmq) return undefined;
  if (tools.missing !== undefined) throw new Error(`RocketMQ needs ${tools.missing}`);
  const own = folder === undefined ? {} : { folder: join(folder, "rocketmq") };
  return await startRocketmq({ tools, ...own });
}

async function openRedis(
  { redis, folder }: Wanted,
  { redis: binary }: Parts,
): Promise<Redis | undefined> {
  if (!redis) return undefined;
  if (binary.missing !== undefined) throw new Error(`--redis needs ${binary.missing}`);
  const own = folder === undefined ? {} : { folder: join(folder, "redis") };
  return await startRedis({ binary, ...own });
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => resolve());
    }
  });
}
