import { basename } from "node:path";
import type { Json } from "../../state/json.ts";
import { quote } from "../../state/quote.ts";
import { CommandFailed } from "../failure.ts";
import type { RecordedRun } from "./recorded-run.ts";
import { isSweAgentRun, readSweAgentRun } from "./swe-agent-run.ts";
import { isTauRun, readTauRun } from "./tau-run.ts";

/** Leaves room in an id for a prefix before it and a task after it. */
const MAX_NAME = 120;

/**
 * The runs in the text of a file: one JSON document, or one a line.
 *
 * @throws {CommandFailed} a line is not JSON, or holds no recorded run.
 */
export function readRuns(text: string, file: string): RecordedRun[] {
  const whole = parsed(text);
  const runs =
    whole !== undefined
      ? [readRun(whole, { file, position: 1, where: quote(file) })]
      : text.split("\n").flatMap((line, index) => {
          if (line.trim() === "") return [];
          const where = `${quote(file)}, line ${index + 1}`;
          const value = parsed(line);
          if (value === undefined)
            throw new CommandFailed(`${where}: not JSON`, { next: KNOWN_FORMATS });
          return [readRun(value, { file, position: index + 1, where })];
        });
  if (runs.length === 0)
    throw new CommandFailed(`${quote(file)} is empty`, { next: KNOWN_FORMATS });
  return runs;
}

/** As many runs as asked for; where the file holds fewer, it starts over under other names. */
export function repeatRuns(runs: readonly RecordedRun[], count: number): RecordedRun[] {
  return Array.from({ length: count }, (_, index) => {
    const run = runs[index % runs.length]!;
    const round = Math.floor(index / runs.length) + 1;
    return round === 1 ? run : { ...run, name: `${run.name}.${round}` };
  });
}

const KNOWN_FORMATS =
  "give a file of tau-bench (JSON Lines with `traj`) or of SWE-agent (.traj.json); examples/ has both";

interface Place {
  readonly file: string;
  readonly position: number;
  readonly where: string;
}

function readRun(value: Json, { file, position, where }: Place): RecordedRun {
  if (isTauRun(value)) {
    const run = readTauRun(value, position);
    if (run !== undefined) return run;
  } else if (isSweAgentRun(value)) {
    const run = readSweAgentRun(value, nameOf(file));
    if (run !== undefined) return run;
  }
  throw new CommandFailed(`${where}: no recorded run that can be replayed`, {
    next: KNOWN_FORMATS,
  });
}

function nameOf(file: string): string {
  return basename(file)
    .replace(/\.gz$/, "")
    .replace(/\.jsonl?$/, "")
    .replace(/\.traj$/, "")
    .slice(0, MAX_NAME);
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
