import { HOOKS_OF_A_CONTAINER, hookOf, isHookOf } from "./hook-handler.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { checkId } from "../state/identifiers.ts";
import type { Json, JsonObject } from "../state/json.ts";
import { head, quote } from "../state/quote.ts";
import type { PatchOperation } from "../state/state.ts";
import { readPod } from "./pod-shape.ts";
import type { ContainerShape, PodShape } from "./pod-shape.ts";
import { PORT_NAME, SIDECAR, SPOOL, downwardVariables, sidecarOf, spoolVolume } from "./sidecar.ts";
import type { SidecarSettings } from "./sidecar.ts";

/** The label of pods that want the sidecar, with the value `true`. */
export const INJECT = "agentruntime.dev/inject";
const AGENT = "agentruntime.dev/agent";
const CONTAINER = "agentruntime.dev/container";

/** What is done to a pod, and what whoever makes it should know. */
export interface Injection {
  /** None: it stays as it is. */
  readonly operations: readonly PatchOperation[];
  readonly warnings: readonly string[];
}

const MAX_WARNINGS = 16;
/** Those that a program may take that is not root. */
const PORTS = 65_536 - 1_024;
const NOTHING: Injection = { operations: [], warnings: [] };

/**
 * The sidecar, the hooks and the variables that a pod lacks; what it has already stays as it is. So a pod
 * that got them gets nothing more.
 *
 * @throws {AgentRuntimeError} INVALID_REQUEST: the pod cannot be read, or asks for what cannot be.
 */
export function injectInto(object: Json, settings: SidecarSettings): Injection {
  const pod = readPod(object);
  const wish = pod.labels[INJECT];
  if (wish === undefined || wish === "false") return NOTHING;
  if (wish !== "true") throw refuse(`the label ${INJECT} is "true" or "false", not ${quote(wish)}`);
  if (pod.isWindows) return leave("pods of Windows get no sidecar for hooks");
  const port = portOf(pod, settings.port);
  const hooked = targetsOf(pod).map((container) => hookInto(pod, container, port));
  const operations = [
    ...hooked.flatMap((each) => each.operations),
    ...sidecarInto(pod, port, settings),
  ];
  const warnings = [
    ...(agentOf(pod) === undefined
      ? [`no label ${AGENT}: the state of the pod is kept, and no agent's state follows it`]
      : []),
    ...(pod.isOnHostNetwork
      ? [`the sidecar for hooks takes port ${port} of the node: there, only one such pod can run`]
      : []),
    ...hooked.flatMap((each) => each.warnings),
  ];
  return { operations, warnings: warnings.slice(0, MAX_WARNINGS) };
}

/** Whose state is to follow the pod. An id that no state may have would be refused with each fact. */
function agentOf({ labels, annotations }: PodShape): string | undefined {
  const agent = labels[AGENT] ?? annotations[AGENT];
  if (agent === undefined || agent === "") return undefined;
  try {
    return checkId(agent);
  } catch (error) {
    throw refuse(`${AGENT} names no agent: ${(error as Error).message}`);
  }
}

/** The container whose life is the pod's where one is named, else all of them. */
function targetsOf({ labels, annotations, containers }: PodShape): readonly ContainerShape[] {
  const others = containers.filter(({ name }) => name !== SIDECAR);
  const wanted = labels[CONTAINER] ?? annotations[CONTAINER];
  if (wanted === undefined) return others;
  const found = others.filter(({ name }) => name === wanted);
  if (found.length > 0) return found;
  const names = others.map(({ name }) => name).join(", ");
  throw refuse(`${CONTAINER} is ${quote(wanted)}, and the pod has the containers ${names}`);
}

function hookInto(pod: PodShape, container: ContainerShape, port: number): Injection {
  const path = `/spec/containers/${pod.containers.indexOf(container)}`;
  const { name, lifecycle } = container;
  const has = (hook: string): boolean => (lifecycle?.[hook] ?? null) !== null;
  const lacking = HOOKS_OF_A_CONTAINER.filter((hook) => !has(hook));
  const added = Object.fromEntries(lacking.map((hook) => [hook, hookOf(name, hook, port)]));
  const foreign = HOOKS_OF_A_CONTAINER.filter(
    (hook) => has(hook) && !isHookOf(lifecycle?.[hook], name, hook),
  );
  return {
    operations: [
      ...variablesInto(path, container.variables, downwardVariables(pod)),
      ...fieldsInto(`${path}/lifecycle`, lifecycle, added),
    ],
    warnings: foreign.map((hook) =>
      head(`container ${name} keeps its own ${hook}, so its ${hook} is not told to the state`, 240),
    ),
  };
}

function fieldsInto(path: string, has: JsonObject | null, added: JsonObject): PatchOperation[] {
  if (Object.keys(added).length === 0) return [];
  if (has === null) return [{ op: "add", path, value: added }];
  return Object.entries(added).map(([name, value]) => ({
    op: "add",
    path: `${path}/${name}`,
    value,
  }));
}

/** At the end, where they change the meaning of none before them. */
function variablesInto(
  path: string,
  has: readonly string[] | null,
  wanted: readonly JsonObject[],
): PatchOperation[] {
  const added = wanted.filter(({ name }) => has?.includes(name as string) !== true);
  return appendInto(`${path}/env`, has, added);
}

function appendInto(
  path: string,
  has: readonly unknown[] | null,
  added: readonly JsonObject[],
): PatchOperation[] {
  if (added.length === 0) return [];
  if (has === null) return [{ op: "add", path, value: [...added] }];
  return added.map((value) => ({ op: "add", path: `${path}/-`, value }));
}

/** As the first of the init containers: it is there before the others start. */
function sidecarInto(pod: PodShape, port: number, settings: SidecarSettings): PatchOperation[] {
  if (sidecarIn(pod) !== undefined) return [];
  const sidecar = sidecarOf(pod, port, settings);
  const path = "/spec/initContainers";
  const hasVolume = pod.volumes?.includes(SPOOL) === true;
  return [
    ...appendInto("/spec/volumes", pod.volumes, hasVolume ? [] : [spoolVolume(settings)]),
    pod.initContainers === null
      ? { op: "add", path, value: [sidecar] }
      : { op: "add", path: `${path}/0`, value: sidecar },
  ];
}

/** The port of the sidecar that is there, else the first from the wished one that no container declares. */
function portOf(pod: PodShape, wished: number): number {
  const named = sidecarIn(pod)?.ports.find(({ name }) => name === PORT_NAME);
  if (named !== undefined) return named.port;
  if (sidecarIn(pod) !== undefined) return wished;
  const all = [...pod.containers, ...(pod.initContainers ?? [])];
  const taken = new Set(all.flatMap(({ ports }) => ports.map((each) => each.port)));
  for (let port = wished, left = PORTS; left > 0; left -= 1) {
    if (!taken.has(port)) return port;
    port = port === 65_535 ? 1_024 : port + 1;
  }
  throw refuse("its containers leave no port for the sidecar for hooks");
}

function sidecarIn({ initContainers, containers }: PodShape): ContainerShape | undefined {
  return [...(initContainers ?? []), ...containers].find(({ name }) => name === SIDECAR);
}

function leave(warning: string): Injection {
  return { operations: [], warnings: [warning] };
}

function refuse(why: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_REQUEST", why);
}
