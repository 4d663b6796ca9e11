import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { TestContext } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { Child, runProgram, startService } from "../support/child.ts";
import { oneHome } from "../support/homes.ts";
import { redisOf } from "../support/redis.ts";
import { ownRocketmqOf, rocketmqOf, serviceOn } from "../support/rocketmq.ts";
import { MortalProcess, mortalMember, mortalRedis } from "./mortals.ts";
import type { Mortal } from "./mortals.ts";

const SCRIPT = join(packageRoot(), "test", "travel", "journal-consumer.mjs");
const MODULE = join(packageRoot(), "dist", "index.js");
const START_MS = 120_000;

/** Two services on one database, what they run with, and a consumer of their changes. */
export interface Place {
  readonly databaseUrl: string;
  readonly urls: readonly [string, string];
  readonly services: readonly MortalProcess[];
  readonly consumer: MortalProcess;
  /** What the consumer writes, on disk before it acknowledges. */
  readonly journal: string;
  /** All that may be killed or frozen, by name; broker and proxy where they are the test's own. */
  readonly mortals: Readonly<Record<string, Mortal>>;
}

export interface PlaceOptions {
  /** After which a change that nobody acknowledged comes again. */
  readonly invisibleMs: number;
  /** Whether the RocketMQ is the test's own, to be harmed, and not that of the run. */
  readonly ownsRocketmq: boolean;
}

/** All of it, running; it ends with the test. */
export async function openPlace(
  context: TestContext,
  { invisibleMs, ownsRocketmq }: PlaceOptions,
): Promise<Place> {
  const cwd = mkdtempSync(join(tmpdir(), "art-travel-"));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const [redis, rocketmq, database] = await Promise.all([
    redisOf(context),
    ownsRocketmq ? ownRocketmqOf(context) : undefined,
    oneHome()[0]!.createDatabase(),
  ]);
  onTestFinished(() => database.drop());
  const address = rocketmq?.address ?? (await rocketmqOf(context));
  const own = `travel-${randomUUID().slice(0, 8)}`;
  const group = `${own}-readers`;
  const env: Readonly<Record<string, string>> = {
    ...serviceOn(address, own),
    SUPABASE_DB_URL: database.url,
    DRAGONFLY_URL: redis.address.url,
  };
  const making = ["state", "topics", "create", "--group", group];
  const { code, stderr } = await runProgram(making, { cwd, env });
  if (code !== 0) throw new Error(`no topics: ${stderr}`);
  const journal = join(cwd, "journal");
  const settings = {
    messages: "rocketmq",
    rocketmq: { endpoints: [address.endpoint], stateTopic: env["ROCKETMQ_STATE_TOPIC"] },
  };
  const args = [SCRIPT, MODULE, settings, { file: journal, group, invisibleMs }];
  const [first, second, consumer] = await Promise.all([
    mortalService({ cwd, env }),
    mortalService({ cwd, env }),
    MortalProcess.start(() => Promise.resolve(new Child(process.execPath, args.map(asArgument)))),
  ]);
  return {
    databaseUrl: database.adminUrl,
    urls: [first.url, second.url],
    services: [first.service, second.service],
    consumer,
    journal,
    mortals: {
      ...(rocketmq === undefined
        ? {}
        : { broker: mortalMember(rocketmq, "broker"), proxy: mortalMember(rocketmq, "proxy") }),
      cache: mortalRedis(redis),
      "one service": first.service,
      "the other service": second.service,
      consumer,
    },
  };
}

function asArgument(value: string | object): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A service that is found where it was when it starts again. */
async function mortalService(options: {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}): Promise<{ readonly service: MortalProcess; readonly url: string }> {
  let url: string | undefined;
  const service = await MortalProcess.start(async () => {
    const listen = url === undefined ? [] : ["--listen", new URL(url).host];
    const started = await startService(listen, { ...options, timeoutMs: START_MS });
    url = started.url;
    return started.child;
  });
  return { service, url: url! };
}
