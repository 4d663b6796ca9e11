import { createHash } from "node:crypto";
import { definedOnly } from "./defined.ts";
import { AgentRuntimeError } from "./errors.ts";
import { refused, textIn, toObject, wordIn, wholeNumber } from "./fields.ts";
import type { Given } from "./fields.ts";
import type { Json, JsonObject } from "./json.ts";
import { nearest } from "./nearest.ts";
import { quote } from "./quote.ts";

/**
 * Who saw it: a lifecycle hook in the pod, the container runtime of its node, or the API server: of the pod, or of a
 * Sandbox object, whose controller makes such pods.
 */
export const FACT_SOURCES = ["hook", "kata", "pod", "sandbox"] as const;
/** Who observed a fact. */
export type FactSource = (typeof FACT_SOURCES)[number];

/** What is wanted of a pod, or of a Sandbox object. */
export const WISHES = ["running", "paused", "stopped", "deleted"] as const;
/** What a pod or Sandbox object should become. */
export type Desired = (typeof WISHES)[number];

/** What can be told of a pod, its sandbox or one of its containers. */
export const FACTS = [
  "scheduled",
  "create",
  "start",
  "postStart",
  "ready",
  "paused",
  "resumed",
  "preStop",
  "oom",
  "exit",
  "delete",
  "evicted",
  "nodeLost",
  "deleted",
] as const;
/** What happened to a pod, its sandbox or a container. */
export type Fact = (typeof FACTS)[number];

/** What a Sandbox object tells: where it stands, in the words for pods. */
const OF_SANDBOXES: readonly Fact[] = [
  "create",
  "start",
  "ready",
  "paused",
  "preStop",
  "exit",
  "deleted",
];

/**
 * One thing that happened to a pod, as one source saw it. It may come late, twice, out of order, or never.
 */
export interface LifecycleFact {
  readonly source: FactSource;
  /** Of the Sandbox object where that is what it is about, as all that follows. */
  readonly podUid: string;
  readonly podName: string;
  /** The pod's namespace in Kubernetes. */
  readonly namespace: string;
  /** Null: not on a node yet, or not known. */
  readonly node: string | null;
  /** The container's name; null: the pod itself, or its sandbox. */
  readonly container: string | null;
  /**
   * The id of that run of the container or sandbox, as the runtime gave it; null: the source does not know it. Of a
   * Sandbox object: which form of it was read, its `resourceVersion`.
   */
  readonly incarnation: string | null;
  readonly fact: Fact;
  /** When it happened: ISO 8601, UTC, milliseconds. */
  readonly at: string;
  readonly exitCode?: number;
  readonly signal?: number;
  /** In a word of the source: `OOMKilled`, `ImagePullBackOff`, `Evicted`. */
  readonly reason?: string;
  /** What is wanted of a Sandbox object. */
  readonly desired?: Desired;
  /** Of the pod, and those of its annotations that matter here. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What a request may hold; a source with more sends them one after the other. */
export const MAX_FACTS = 500;

const MAX_LABELS = 128;
/** The longest name that Kubernetes has: a prefix, "/" and a name. */
const LABEL_NAME = 317;
const LABEL_VALUE = 256;
const FIELDS = [
  "source",
  "podUid",
  "podName",
  "namespace",
  "node",
  "container",
  "incarnation",
  "fact",
  "at",
  "exitCode",
  "signal",
  "reason",
  "desired",
  "labels",
] as const;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * A fact from its JSON form.
 *
 * @param where names it in a refusal, such as `facts[3]`.
 */
export function parseFact(value: Json, where = "the fact"): LifecycleFact {
  const given: Given = toObject(value, where);
  try {
    onlyKnown(given);
    const source = needed("source", wordIn(given, "source", FACT_SOURCES));
    return {
      source,
      // It is part of an id.
      podUid: needed("podUid", wordText(given, "podUid", 64)),
      podName: needed("podName", nameIn(given, "podName", 253)),
      namespace: needed("namespace", nameIn(given, "namespace", 253)),
      node: orNull(given, "node", 253),
      container: orNull(given, "container", 253),
      incarnation: orNull(given, "incarnation", 128),
      fact: needed("fact", wordIn(given, "fact", source === "sandbox" ? OF_SANDBOXES : FACTS)),
      at: timeAt(given),
      ...definedOnly({
        exitCode: numberIn(given, "exitCode", -1, 2 ** 32 - 1),
        signal: numberIn(given, "signal", 1, 128),
        reason: nameIn(given, "reason", 200),
        desired: wordIn(given, "desired", WISHES),
      }),
      labels: labelsIn(given),
    };
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    throw new AgentRuntimeError(error.code, `${where}: ${error.message}`, error.facts);
  }
}

/** The facts of a request: `{facts: [...]}`. */
export function parseFacts(value: Json): LifecycleFact[] {
  const given = toObject(value, "the body");
  const unknown = Object.keys(given).find((field) => field !== "facts");
  if (unknown !== undefined) throw unknownField(unknown, ["facts"]);
  const { facts } = given;
  if (!Array.isArray(facts)) {
    throw refused("INVALID_REQUEST", "facts", "must be an array of facts");
  }
  if (facts.length > MAX_FACTS) {
    throw new AgentRuntimeError(
      "PAYLOAD_TOO_LARGE",
      `${facts.length} facts are too many for one request: send at most ${MAX_FACTS} per request`,
      { field: "facts" },
    );
  }
  return facts.map((fact: Json, index) => parseFact(fact, `facts[${index}]`));
}

/** Its JSON form. */
export function factJson(fact: LifecycleFact): JsonObject {
  return { ...fact, labels: { ...fact.labels } };
}

/** What two tellings of the same fact by one source have in common, and no other fact has. */
export function factKey(fact: LifecycleFact): string {
  const { source, podUid, container, incarnation, at } = fact;
  const told = JSON.stringify([source, podUid, container, incarnation, fact.fact, at]);
  return createHash("sha256").update(told).digest("base64url");
}

function onlyKnown(given: Given): void {
  const unknown = Object.keys(given).find((field) => !FIELDS.some((known) => known === field));
  if (unknown !== undefined) throw unknownField(unknown, FIELDS);
}

function unknownField(field: string, known: readonly string[]): AgentRuntimeError {
  const near = nearest(field, known);
  const advice =
    near === undefined ? `it may be ${known.join(", ")}` : `did you mean ${quote(near)}?`;
  return new AgentRuntimeError("UNKNOWN_FIELD", `${quote(field)} is not known; ${advice}`, {
    field,
    ...definedOnly({ nearest: near }),
  });
}

function needed<Value>(field: string, value: Value | undefined): Value {
  if (value !== undefined) return value;
  throw refused("INVALID_REQUEST", field, "is missing");
}

/** Printable text on one line; undefined where it is left out. */
function nameIn(given: Given, field: string, maxLength: number): string | undefined {
  const text = textIn(given, field, "INVALID_REQUEST");
  if (text === undefined) return undefined;
  const isGood =
    text !== "" && text.length <= maxLength && !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(text);
  if (isGood) return text;
  throw refused("INVALID_REQUEST", field, `must be 1 to ${maxLength} printable characters`);
}

function wordText(given: Given, field: string, maxLength: number): string | undefined {
  const text = nameIn(given, field, maxLength);
  if (text === undefined || /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text)) return text;
  throw refused("INVALID_REQUEST", field, "may hold A-Z a-z 0-9 . _ - alone");
}

function orNull(given: Given, field: string, maxLength: number): string | null {
  if (given[field] === null || given[field] === undefined) return null;
  return nameIn(given, field, maxLength) ?? null;
}

function numberIn(given: Given, field: string, min: number, max: number): number | undefined {
  const value = given[field];
  if (value === undefined || value === null) return undefined;
  return wholeNumber(value, field, { from: min, to: max });
}

function timeAt(given: Given): string {
  const text = needed("at", textIn(given, "at", "INVALID_REQUEST"));
  const date = TIME.test(text) ? new Date(text) : undefined;
  // The year 1 is how a runtime says that it does not know.
  if (date !== undefined && date.getTime() > 0) return date.toISOString();
  throw refused(
    "INVALID_REQUEST",
    "at",
    "must be a time after 1970, like 2030-01-31T12:00:00.000Z",
  );
}

function labelsIn(given: Given): Record<string, string> {
  if (given["labels"] === undefined) return {};
  const entries = Object.entries(toObject(given["labels"], quote("labels")));
  if (entries.length > MAX_LABELS) {
    throw refused("INVALID_REQUEST", "labels", `may have ${MAX_LABELS} entries`);
  }
  return Object.fromEntries(
    entries.map(([name, value]) => {
      if (typeof value === "string" && value.length <= LABEL_VALUE && name.length <= LABEL_NAME) {
        return [name, value];
      }
      const most = `text of at most ${LABEL_VALUE} characters under names of at most ${LABEL_NAME}`;
      throw refused("INVALID_REQUEST", "labels", `must be ${most}`);
    }),
  );
}
