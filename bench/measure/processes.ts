import { readFileSync, readdirSync } from "node:fs";
import type { Slice } from "./load.ts";
import { spreadOf } from "./statistics.ts";

/** Of /proc, on every Linux there is. */
const TICKS_PER_SECOND = 100;

/** What processes hold in memory. */
export interface Memory {
  /** Each page counted once, shared ones in parts: what would be free without them. */
  readonly pssMiB: number;
  /** Each page counted in every process that has it. */
  readonly rssMiB: number;
}

/** A process and all below it. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) ? statOf(Number(name))?.parent : undefined;
    if (parent === undefined) continue;
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** Seconds of CPU that a process and all below it have used, those that ended included. */
export function treeCpuSeconds(root: number): number {
  return processTree(root).reduce((sum, pid) => {
    const { cpuSeconds = 0, endedCpuSeconds = 0 } = statOf(pid) ?? {};
    return sum + cpuSeconds + endedCpuSeconds;
  }, 0);
}

/** What a process and all below it hold. */
export function memoryOf(root: number): Memory {
  let pss = 0;
  let rss = 0;
  for (const pid of processTree(root)) {
    const text = read(`/proc/${pid}/smaps_rollup`);
    pss += Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
    rss += Number(/^Rss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
  }
  return { pssMiB: pss / 1_024, rssMiB: rss / 1_024 };
}

/** Seconds of CPU that one process has used, without those below it. */
export function ownCpuSeconds(pid: number): number {
  return statOf(pid)?.cpuSeconds ?? 0;
}

/** Measures, beside the slice, how many cores each part kept busy. */
export async function withCores(
  parts: Readonly<Record<string, () => number>>,
  run: () => Promise<Slice>,
): Promise<Slice> {
  const before = Object.entries(parts).map(([name, used]) => [name, used, used()] as const);
  const from = performance.now();
  const slice = await run();
  const seconds = (performance.now() - from) / 1_000;
  const cores = before.map(([name, used, then]) => [name, (used() - then) / seconds] as const);
  return { ...slice, cores: Object.fromEntries(cores) };
}

/** `Node 35 µs, PostgreSQL 40 µs`: what a call costs, which a busy machine changes less than its rate. */
export function describeCpu(slices: readonly Slice[]): string {
  const parts = Object.keys(slices[0]?.cores ?? {}).map((name) => {
    const each = slices.map(({ cores, rate }) => (cores![name]! / rate) * 1e6);
    return `${name} ${spreadOf(each).median.toFixed(0)} µs`;
  });
  return parts.join(", ");
}

/** `Node 0.95, PostgreSQL 1.02 cores`: the medians of the slices. */
export function describeCores(slices: readonly Slice[]): string {
  const names = Object.keys(slices[0]?.cores ?? {});
  const parts = names.map((name) => {
    const { median } = spreadOf(slices.map(({ cores }) => cores![name]!));
    return `${name} ${median.toFixed(2)}`;
  });
  return `${parts.join(", ")} cores`;
}

interface Stat {
  readonly parent: number;
  readonly cpuSeconds: number;
  /** Of children that ended. */
  readonly endedCpuSeconds: number;
}

function statOf(pid: number): Stat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === "") return undefined;
  // The name, in parentheses, may hold anything; behind it the fields are numbers.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  return {
    parent: fields[1]!,
    cpuSeconds: (fields[11]! + fields[12]!) / TICKS_PER_SECOND,
    endedCpuSeconds: (fields[13]! + fields[14]!) / TICKS_PER_SECOND,
  };
}

/** Empty where the process has ended, or where there is no /proc. */
function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
