import type { Command } from "commander";
import type { StateFace } from "../../state/face.ts";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { Json, JsonObject } from "../../state/json.ts";
import type { State } from "../../state/state.ts";
import { withExamples } from "../help.ts";
import { painter } from "../print/color.ts";
import { toJson } from "../print/json.ts";
import { formatTime } from "../print/numbers.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { pad, printable } from "../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** Adds `lifecycle`: how a pod does, and what was told of it. */
export function addLifecycle(group: Command, terminal: Terminal): void {
  const command = group
    .command("lifecycle")
    .description("show the state of an agent's pod, and the facts behind it")
    .argument("<pod-or-agent>", "id of an agent, or uid of a pod or Sandbox object")
    .action(async (name: string, options: ServiceOptions) => {
      const found = await withClient(options, (client) => find(client, name, terminal));
      const { state, agent } = found;
      const lines = options.json ? toJson(state) : format(state, agent, terminal);
      await writeLine(terminal.stdout, lines);
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state lifecycle alice", "the pod that agent alice runs in"],
    ["agent_runtime state lifecycle 3f5c0a6e-7f2b-4a52-9d0e-1b2c3d4e5f60", "the pod with this uid"],
    ["agent_runtime state history pod:UID", "each change of that pod, and its cause"],
  ]);
}

interface Found {
  /** Of a pod, or of a Sandbox object. */
  readonly state: State;
  /** Where it was asked for by its agent. */
  readonly agent: State | null;
}

/** The state of a pod or Sandbox object by its uid; of the pod of an agent by the agent's id, or else of its Sandbox object. */
async function find(
  client: Pick<StateFace, "getState">,
  name: string,
  terminal: Terminal,
): Promise<Found> {
  const read = (id: string): Promise<State | null> =>
    client.getState(id, callOptions(terminal)).catch((error: unknown) => {
      if (error instanceof AgentRuntimeError && error.code === "STATE_NOT_FOUND") return null;
      throw error;
    });
  for (const id of [`pod:${name}`, `sandbox:${name}`]) {
    const state = await read(id);
    if (state !== null) return { state, agent: null };
  }
  const agent = await read(name);
  for (const kind of ["pod", "sandbox"]) {
    const uid = agent === null ? undefined : objectIn(agent.data, kind)?.["uid"];
    const state = typeof uid === "string" ? await read(`${kind}:${uid}`) : null;
    if (state !== null) return { state, agent };
  }
  throw new AgentRuntimeError(
    "STATE_NOT_FOUND",
    agent === null
      ? `there is no pod with the uid ${name}, and no agent with that id`
      : `no pod of ${name} is known: no fact named it in the label agentruntime.dev/agent`,
  );
}

function format(
  { data, phase, updatedAt }: State,
  agent: State | null,
  { stdout, env }: Terminal,
): string {
  const told = data as JsonObject;
  const ended = [
    told["reason"],
    typeof told["exitCode"] === "number" ? `exit code ${told["exitCode"]}` : null,
  ];
  const facts: [string, string][] = [
    ...identity(told),
    ["node", text(told["node"])],
    ["agent", text(told["agent"])],
    ...sandboxOf(told, agent),
    ["desired", text(told["desired"])],
    ["observed", [phase, ...ended.filter((each) => typeof each === "string")].join(", ")],
    ["ready", told["ready"] === true ? "yes" : "no"],
    ["updated", formatTime(updatedAt)],
  ];
  const paint = painter(stdout, env);
  const lines = facts.map(([name, value]) => `${paint("dim", pad(name, 8))} ${printable(value)}`);
  const runs = runsOf(told);
  if (runs.length === 0) return lines.join("\n");
  return [...lines, "", ...formatTable(COLUMNS, runs, stdout.columns)].join("\n");
}

function identity(told: JsonObject): [string, string][] {
  const place = (name: string, uid: string): string =>
    `${text(told["namespace"])}/${text(told[name])} (${text(told[uid])})`;
  if (told["podUid"] !== undefined) return [["pod", place("podName", "podUid")]];
  return [
    ["sandbox", place("name", "uid")],
    ["pod", text(told["pod"])],
  ];
}

/** Of the agent that was asked for, beside its pod. */
function sandboxOf(told: JsonObject, agent: State | null): [string, string][] {
  const sandbox = agent === null ? undefined : objectIn(agent.data, "sandbox");
  if (sandbox === undefined || told["podUid"] === undefined) return [];
  const { namespace, name, phase, desired } = sandbox;
  const standing = `${text(phase)}, is to be ${text(desired)}`;
  return [["sandbox", `${text(namespace)}/${text(name)} (${standing})`]];
}

interface RunLine {
  readonly container: string;
  readonly run: string;
  readonly began: string;
  readonly ended: string;
  readonly how: string;
}

const COLUMNS: readonly Column<RunLine>[] = [
  { title: "CONTAINER", cell: ({ container }) => container },
  { title: "RUN", cell: ({ run }) => run, atLeast: 8 },
  { title: "BEGAN", cell: ({ began }) => began },
  { title: "ENDED", cell: ({ ended }) => ended },
  { title: "HOW", cell: ({ how }) => how },
];

/** A line for each run of each container. */
function runsOf(pod: JsonObject): RunLine[] {
  return listIn(pod, "containers").flatMap((container) =>
    listIn(container, "attempts").map((run) => {
      const exit = objectIn(run, "exit");
      const how = exit === undefined ? "" : `${text(exit["exitCode"])} ${text(exit["reason"], "")}`;
      return {
        container: text(container["name"]),
        run: text(run["id"]),
        began: text(run["created"] ?? run["started"]),
        ended: text(exit?.["at"] ?? run["removed"]),
        how: how.trim(),
      };
    }),
  );
}

function text(value: Json | undefined, empty = "-"): string {
  if (value === null || value === undefined) return empty;
  return typeof value === "string" ? value : JSON.stringify(value);
}

function listIn(given: JsonObject, field: string): JsonObject[] {
  const value = given[field];
  return Array.isArray(value) ? (value as JsonObject[]) : [];
}

function objectIn(given: Json, field: string): JsonObject | undefined {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return undefined;
  const value = (given as JsonObject)[field];
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as JsonObject) : undefined;
}
