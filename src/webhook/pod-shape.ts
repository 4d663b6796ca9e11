import { refused, toObject } from "../state/fields.ts";
import type { Json, JsonObject } from "../state/json.ts";
import { isObject } from "../state/pointer.ts";

/** A container, as far as it matters here. */
export interface ContainerShape {
  readonly name: string;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  /** The names of its variables; null: it has no list of them. */
  readonly variables: readonly string[] | null;
  /** What it has as hooks; null: it has no lifecycle. */
  readonly lifecycle: JsonObject | null;
}

/** A pod that somebody wants to have, as far as it matters here. */
export interface PodShape {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly isWindows: boolean;
  /** Its ports are those of its node. */
  readonly isOnHostNetwork: boolean;
  readonly containers: readonly ContainerShape[];
  /** Null: it has no list of them. */
  readonly initContainers: readonly ContainerShape[] | null;
  /** The names of its volumes; null: it has no list of them. */
  readonly volumes: readonly string[] | null;
}

/** @throws {AgentRuntimeError} INVALID_REQUEST: what of it cannot be read. */
export function readPod(object: Json): PodShape {
  const pod = toObject(object, "the pod");
  const metadata = toObject(pod["metadata"] ?? {}, "metadata");
  const spec = toObject(pod["spec"] ?? null, "spec");
  const containers = containersIn(spec, "containers");
  if (containers === null || containers.length === 0) {
    throw refused("INVALID_REQUEST", "spec.containers", "must have a container");
  }
  return {
    labels: wordsIn(metadata, "labels"),
    annotations: wordsIn(metadata, "annotations"),
    isWindows: isObject(spec["os"]) && spec["os"]["name"] === "windows",
    isOnHostNetwork: spec["hostNetwork"] === true,
    containers,
    initContainers: containersIn(spec, "initContainers"),
    volumes: namesIn(spec, "volumes", "spec.volumes"),
  };
}

function containersIn(spec: JsonObject, field: string): readonly ContainerShape[] | null {
  const list = listIn(spec, field, `spec.${field}`);
  return list && list.map((each, at) => readContainer(each, `spec.${field}[${at}]`));
}

function readContainer(given: Json, where: string): ContainerShape {
  const container = toObject(given, where);
  const { name } = container;
  if (typeof name !== "string" || name === "") {
    throw refused("INVALID_REQUEST", `${where}.name`, "must be text");
  }
  const lifecycle = container["lifecycle"] ?? null;
  return {
    name,
    ports: (listIn(container, "ports", `${where}.ports`) ?? []).filter(isObject).map((port) => ({
      name: textOf(port["name"]),
      port: Number(port["containerPort"]),
    })),
    variables: namesIn(container, "env", `${where}.env`),
    lifecycle: lifecycle === null ? null : toObject(lifecycle, `${where}.lifecycle`),
  };
}

function namesIn(given: JsonObject, field: string, where: string): readonly string[] | null {
  const list = listIn(given, field, where);
  return list && list.map((each) => (isObject(each) ? textOf(each["name"]) : ""));
}

function listIn(given: JsonObject, field: string, where: string): readonly Json[] | null {
  const value = given[field] ?? null;
  if (value === null || Array.isArray(value)) return value as readonly Json[] | null;
  throw refused("INVALID_REQUEST", where, "must be a list");
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function wordsIn(metadata: JsonObject, field: string): Readonly<Record<string, string>> {
  const words = toObject(metadata[field] ?? {}, `metadata.${field}`);
  for (const [name, value] of Object.entries(words)) {
    if (typeof value === "string") continue;
    throw refused("INVALID_REQUEST", `metadata.${field}.${name}`, "must be text");
  }
  return words as Readonly<Record<string, string>>;
}
