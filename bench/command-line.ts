import { parseArgs } from "node:util";
import type { Scenario, Sizes } from "./bench.ts";

/** What a run was asked for. */
export interface Wanted {
  readonly scenarios: readonly Scenario[];
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly json: string | undefined;
  readonly help: boolean;
}

const FULL: Sizes = {
  keys: 100_000,
  clients: [8, 16, 32, 64],
  sharedBuffers: "1GB",
  idleSeconds: 10,
  few: 1_000,
  many: 1_000_000,
  conversations: 1_000,
  turns: 2_000,
  growth: [100_000, 500_000, 1_000_000],
  stacks: 1_000,
  tasks: 20_000,
  deepStack: 100_000,
};

/** Everything happens, nothing is worth reading: for the tests. */
const QUICK: Sizes = {
  keys: 2_000,
  clients: [8],
  sharedBuffers: "128MB",
  idleSeconds: 1,
  few: 100,
  many: 1_000,
  conversations: 10,
  turns: 300,
  growth: [2_000, 5_000, 10_000],
  stacks: 50,
  tasks: 500,
  deepStack: 2_000,
};

export function sizesOf({ quick }: Wanted): Sizes {
  return quick ? QUICK : FULL;
}

/** Reads the arguments; throws, saying what is wrong, where they make no sense. */
export function readArguments(args: readonly string[], all: readonly Scenario[]): Wanted {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      json: { type: "string" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { quick, help, only, json } = values;
  const names =
    only?.split(",") ??
    all.filter(({ isOnlyNamed }) => isOnlyNamed !== true).map(({ name }) => name);
  const unknown = names.filter((name) => !all.some((scenario) => scenario.name === name));
  if (unknown.length > 0) {
    throw new Error(
      `no scenario ${unknown.join(", ")}; there are ${all.map(({ name }) => name).join(", ")}`,
    );
  }
  return {
    scenarios: all.filter(({ name }) => names.includes(name)),
    quick,
    help,
    json,
    rounds: number(values.rounds, "--rounds", quick ? 1 : 5),
    seconds: number(values.seconds, "--seconds", quick ? 0.3 : 2),
  };
}

function number(text: string | undefined, flag: string, unsaid: number): number {
  if (text === undefined) return unsaid;
  const value = Number(text);
  if (value > 0 && value <= 600) return value;
  throw new Error(`${flag} is a number above 0 and up to 600, not ${text}`);
}

/** What `--help` prints. */
export function helpText(all: readonly Scenario[]): string {
  return [
    "npm run bench -- [--only NAME,...] [--rounds N] [--seconds S] [--json FILE] [--quick]",
    "",
    "  --only     only these: see below",
    "  --rounds   how often contenders take turns; default 5",
    "  --seconds  length of one slice; default 2",
    "  --json     writes what each round measured to a file",
    "  --quick    one short round on little data: shows that it works, measures nothing",
    "",
    ...all.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`),
  ].join("\n");
}
