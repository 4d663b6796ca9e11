import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { systemClock } from "../../service/clock.ts";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { StateFace } from "../../state/face.ts";
import type { Json } from "../../state/json.ts";
import { wholeNumber } from "../arguments.ts";
import { CommandFailed } from "../failure.ts";
import { withExamples } from "../help.ts";
import { LatencySample } from "../latency-sample.ts";
import { toJson } from "../print/json.ts";
import { formatBytes, formatCount, formatDuration, percentile } from "../print/numbers.ts";
import { Progress } from "../print/progress.ts";
import { flagsToRepeat, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface BenchFlags extends ServiceOptions {
  readonly callers: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly keys: number;
  readonly prefix: string;
}

/** What a load measured. */
export interface BenchReport {
  readonly callers: number;
  readonly documentBytes: number;
  readonly seconds: number;
  readonly updates: number;
  readonly failures: number;
  readonly updatesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** A service that is away is asked again, not flooded. */
const RETRY_MS = 50;

/** What a document has around its text. */
const FRAME_BYTES = JSON.stringify({ text: "" }).length;

/** Adds `bench`: how many updates a second the service takes. */
export function addBench(group: Command, terminal: Terminal): void {
  const command = group
    .command("bench")
    .description("measure how many updates per second the service takes")
    .option("--callers <n>", "how many concurrent callers", wholeNumber(1, 4_096), 64)
    .option("--seconds <n>", "how long to measure", wholeNumber(1, 3_600), 10)
    .option("--bytes <n>", "size of each document", wholeNumber(FRAME_BYTES, 1024 * 1024), 1024)
    .option("--keys <n>", "how many states to update", wholeNumber(1, 1_000_000), 1_000)
    .option("--prefix <text>", "prefix for the ids of these states", "bench-")
    .action((flags: BenchFlags) => bench(flags, terminal));
  withExamples(withServiceOptions(command), [
    ["agent_runtime state bench", "64 callers, 10 seconds, 1 KiB documents"],
    ["agent_runtime state bench --callers 1 --seconds 5", "latency of a single caller"],
  ]);
}

async function bench(flags: BenchFlags, terminal: Terminal): Promise<void> {
  const report = await withClient(flags, (client) => measure(client, flags, terminal));
  await writeLine(
    terminal.stdout,
    flags.json
      ? toJson(report)
      : formatReport(report, `--prefix ${flags.prefix}${flagsToRepeat(flags, terminal)}`),
  );
  if (report.failures > 0) {
    throw new CommandFailed(`${formatCount(report.failures)} updates failed`, {
      next: "the log of the service says why",
    });
  }
}

async function measure(
  client: StateFace,
  flags: BenchFlags,
  terminal: Terminal,
): Promise<BenchReport> {
  const { callers, seconds, bytes, keys, prefix } = flags;
  const data: Json = {
    text: randomBytes(bytes)
      .toString("base64")
      .slice(0, bytes - FRAME_BYTES),
  };
  // The first one tells a service that is not there, or does not want us, before the load starts.
  await client.updateState(`${prefix}0`, "bench", data, { signal: terminal.signal });

  const progress = new Progress({ screen: terminal.stderr, total: seconds * 1_000 });
  const latencies = new LatencySample();
  const startedMs = systemClock.monotonicMs();
  const elapsedMs = (): number => systemClock.monotonicMs() - startedMs;
  let failures = 0;
  let next = 0;
  const over = new AbortController();
  const isOver = AbortSignal.any([over.signal, terminal.signal]);
  const call = async (): Promise<void> => {
    while (elapsedMs() < seconds * 1_000 && !isOver.aborted) {
      const sentMs = systemClock.monotonicMs();
      try {
        await client.updateState(`${prefix}${next++ % keys}`, "bench", data);
        latencies.add(systemClock.monotonicMs() - sentMs);
      } catch (error) {
        if (!(error instanceof AgentRuntimeError) || !error.retryable) throw error;
        failures += 1;
        await sleep(RETRY_MS);
      }
      progress.update(elapsedMs(), `${formatCount(latencies.count)} updates`);
    }
  };
  try {
    await Promise.all(Array.from({ length: callers }, call));
  } finally {
    over.abort();
    progress.end();
  }
  return reportOf(latencies, { callers, documentBytes: bytes, failures, tookMs: elapsedMs() });
}

function reportOf(
  latencies: LatencySample,
  run: Pick<BenchReport, "callers" | "documentBytes" | "failures"> & { readonly tookMs: number },
): BenchReport {
  const { tookMs, ...facts } = run;
  const sorted = latencies.sorted();
  return {
    ...facts,
    seconds: rounded(tookMs / 1_000),
    updates: latencies.count,
    updatesPerSecond: rounded(latencies.count / (tookMs / 1_000)),
    p50Ms: rounded(percentile(sorted, 0.5)),
    p99Ms: rounded(percentile(sorted, 0.99)),
    maxMs: rounded(latencies.max),
  };
}

/** A measurement for people. */
export function formatReport(report: BenchReport, which: string): string {
  const { callers, documentBytes, seconds, updates, updatesPerSecond } = report;
  return [
    `${formatCount(updatesPerSecond)} updates/s, each durable: ${formatCount(updates)} in ${seconds} s`,
    `  ${callers} callers, documents of ${formatBytes(documentBytes)}, over HTTP`,
    `  p50 ${formatDuration(report.p50Ms)}, p99 ${formatDuration(report.p99Ms)}, slowest ${formatDuration(report.maxMs)}`,
    `  the states are kept: agent_runtime state list ${which}`,
  ].join("\n");
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
