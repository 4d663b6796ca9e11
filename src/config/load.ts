import { resolve } from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import { nearest } from "../state/nearest.ts";
import { quote } from "../state/quote.ts";
import { maskSecrets } from "../service/redact.ts";
import { unknownVariables, variablesFor } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { readConfigFile } from "./file.ts";
import { OPTIONS, OPTION_KEYS, flagOf, optionOf } from "./options.ts";
import type { Config, OptionKey } from "./options.ts";
import { RELATIONS } from "./relations.ts";
import { warningsOf } from "./warnings.ts";

/** Where settings may come from; the earlier ones win. */
export interface ConfigSources {
  /**
   * By flag, `data-dir` or `dataDir`; text is read as on a command line. Names that no option has
   * are left alone: refusing them is for the parser of the command line, which knows the others.
   */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Environment;
  /** A file that must exist; unsaid, `agent_runtime.yaml` in `cwd` if there is one. */
  readonly file?: string;
  readonly cwd: string;
  /** `AGENT_RUNTIME_*` variables that somebody else in this program reads. */
  readonly otherVariables?: readonly string[];
}

/** Where a setting came from: `flag --listen`, `env AGENT_RUNTIME_LISTEN`, `file agent_runtime.yaml:3`. */
export interface Origin {
  readonly source: "flag" | "env" | "file" | "default";
  /** The flag, the variable, or the file and line; empty for a default. */
  readonly name: string;
}

export type Origins = Readonly<Record<OptionKey, Origin>>;

export interface LoadedConfig {
  readonly config: Config;
  readonly origins: Origins;
  /** What is right, and still worth a word in the log. */
  readonly warnings: readonly string[];
}

export const CONFIG_FILE = "agent_runtime.yaml";

const MAX_FAULTS = 50;

/**
 * The settings: flags over environment over file over defaults.
 *
 * @throws {AgentRuntimeError} INVALID_CONFIG that names every fault of every source at once.
 */
export function loadConfig(sources: ConfigSources): Config {
  return loadConfigWithOrigins(sources).config;
}

/** The same, with where each setting came from. */
export function loadConfigWithOrigins(sources: ConfigSources): LoadedConfig {
  return new Loading(sources).load();
}

interface Candidate {
  readonly origin: Origin;
  readonly raw: unknown;
}

interface Fault {
  readonly where: string;
  readonly says: string;
  readonly field?: string;
  readonly nearest?: string;
}

/** Collects what each source says, and every fault on the way. */
class Loading {
  readonly #sources: ConfigSources;
  readonly #faults: Fault[] = [];
  readonly #faultyKeys = new Set<OptionKey>();
  readonly #fromFile = new Map<OptionKey, Candidate>();

  constructor(sources: ConfigSources) {
    this.#sources = sources;
  }

  load(): LoadedConfig {
    const { env = {}, otherVariables = [] } = this.#sources;
    this.#readFile();
    for (const { name, nearest: near } of unknownVariables(env, otherVariables)) {
      this.#refuseUnknown({
        where: name,
        what: "is no variable of this program",
        near,
        field: name,
      });
    }
    const values = new Map<OptionKey, unknown>();
    const origins = {} as Record<OptionKey, Origin>;
    for (const key of OPTION_KEYS) {
      const { origin, value } = this.#settle(key);
      origins[key] = origin;
      values.set(key, value);
    }
    const config = treeOf(values);
    this.#checkRelations(config, origins);
    this.#throwIfFaulty();
    const warnings = warningsOf(config, env);
    return { config: deepFreeze(config), origins: deepFreeze(origins), warnings };
  }

  #readFile(): void {
    const { file, cwd } = this.#sources;
    const content = readConfigFile(resolve(cwd, file ?? CONFIG_FILE), file ?? CONFIG_FILE);
    if (content === undefined) {
      if (file !== undefined) this.#fault({ where: file, says: "there is no such file" });
      return;
    }
    this.#faults.push(...content.faults);
    for (const { key, value, where } of content.entries) {
      if (isOptionKey(key)) {
        this.#fromFile.set(key, { origin: { source: "file", name: where }, raw: value });
      } else {
        const near = nearestKey(key);
        this.#refuseUnknown({ where, what: `unknown key ${quote(key)}`, near, field: key });
      }
    }
  }

  /** The value that wins. The others are checked too: a wrong one would strike when it is needed. */
  #settle(key: OptionKey): { origin: Origin; value: unknown } {
    const values = this.#candidates(key).map((candidate) => ({
      origin: candidate.origin,
      value: this.#parse(key, candidate),
    }));
    return values[0]!;
  }

  /** Best first; the last one is the default. */
  #candidates(key: OptionKey): Candidate[] {
    const { flags = {}, env = {} } = this.#sources;
    const candidates: Candidate[] = [];
    for (const [name, raw] of Object.entries(flags)) {
      if (raw === undefined || flagOf(name) !== flagOf(key) || optionOf(key).flagless) continue;
      candidates.push({ origin: { source: "flag", name: `--${flagOf(key)}` }, raw });
    }
    for (const name of variablesFor(key, env)) {
      candidates.push({ origin: { source: "env", name }, raw: env[name] });
    }
    const fromFile = this.#fromFile.get(key);
    if (fromFile !== undefined) candidates.push(fromFile);
    candidates.push({ origin: { source: "default", name: "" }, raw: optionOf(key).default });
    return candidates;
  }

  #parse(key: OptionKey, { origin, raw }: Candidate): unknown {
    const { kind, secret } = optionOf(key);
    const isText = (origin.source === "flag" || origin.source === "env") && typeof raw === "string";
    const parsed = kind.parse(raw, { isText, cwd: this.#sources.cwd });
    if (parsed.ok) return parsed.value;
    this.#faultyKeys.add(key);
    for (const { at, says } of parsed.problems) {
      const not = secret === true || at !== "" ? "" : `, not ${showRaw(raw)}`;
      this.#fault({ where: origin.name, says: `${key}${at} ${says}${not}`, field: `${key}${at}` });
    }
    return undefined;
  }

  #checkRelations(config: Config, origins: Origins): void {
    for (const { keys, broken } of RELATIONS) {
      if (keys.some((key) => this.#faultyKeys.has(key))) continue;
      const says = broken(config);
      if (says === undefined) continue;
      const blamed = keys.find((key) => origins[key].source !== "default") ?? keys[0];
      this.#fault({ where: origins[blamed].name, says, field: blamed });
    }
  }

  #refuseUnknown(unknown: {
    readonly where: string;
    readonly what: string;
    readonly near: string | undefined;
    readonly field: string;
  }): void {
    const { where, what, near, field } = unknown;
    if (near === undefined) this.#fault({ where, says: what, field });
    else this.#fault({ where, says: `${what}; did you mean ${near}?`, field, nearest: near });
  }

  #fault(fault: Fault): void {
    this.#faults.push(fault);
  }

  #throwIfFaulty(): void {
    const [first] = this.#faults;
    if (first === undefined) return;
    const told = this.#faults.slice(0, MAX_FAULTS).map(({ where, says }) => `- ${where}: ${says}`);
    const more = this.#faults.length - told.length;
    if (more > 0) told.push(`- and ${more} more`);
    const count = this.#faults.length === 1 ? "a fault" : `${this.#faults.length} faults`;
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      maskSecrets(`The configuration has ${count}:\n${told.join("\n")}`),
      {
        ...(first.field === undefined ? {} : { field: first.field }),
        ...(first.nearest === undefined ? {} : { nearest: first.nearest }),
      },
    );
  }
}

/** The key most likely meant: by its whole path, or by its last word alone (`lanes`). */
function nearestKey(key: string): OptionKey | undefined {
  const whole = nearest(key, OPTION_KEYS);
  if (whole !== undefined) return whole as OptionKey;
  const lastWord = (path: string): string => path.slice(path.lastIndexOf(".") + 1);
  const near = nearest(lastWord(key), OPTION_KEYS.map(lastWord));
  return OPTION_KEYS.find((known) => lastWord(known) === near);
}

function isOptionKey(key: string): key is OptionKey {
  return Object.hasOwn(OPTIONS, key);
}

function showRaw(raw: unknown): string {
  if (typeof raw === "string") return quote(maskSecrets(raw));
  if (Array.isArray(raw)) return "a list";
  if (typeof raw === "object" && raw !== null) return "a section";
  return String(raw);
}

function treeOf(values: ReadonlyMap<OptionKey, unknown>): Config {
  const tree: Record<string, unknown> = {};
  for (const [key, value] of values) {
    const [section, name] = key.split(".") as [string, string?];
    if (name === undefined) tree[section] = value;
    else ((tree[section] ??= {}) as Record<string, unknown>)[name] = value;
  }
  // Each value has the type that its kind says; the table, which is the type, was walked in full.
  return tree as unknown as Config;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const each of Object.values(value)) deepFreeze(each);
  return Object.freeze(value);
}
