import { readFileSync, statSync } from "node:fs";
import {
  LineCounter,
  Parser,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  parseDocument,
  visit,
} from "yaml";
import type { CST, Node, Document, Pair, YAMLError, YAMLMap } from "yaml";
import { OPTIONS, OPTION_KEYS } from "./options.ts";

/** One value of a file, under the key as it was written, sections joined by dots. */
export interface FileEntry {
  readonly key: string;
  readonly value: unknown;
  /** `agent_runtime.yaml:3`. */
  readonly where: string;
}

export interface FileFault {
  readonly where: string;
  readonly says: string;
}

export interface FileContent {
  readonly entries: readonly FileEntry[];
  readonly faults: readonly FileFault[];
}

const MAX_BYTES = 256 * 1024;
const MAX_DEPTH = 32;
/** What may be quoted from a file: other words may be a token that stands in the wrong place. */
const KNOWN_WORDS = new Set(OPTION_KEYS.flatMap((key) => [key, ...key.split(".")]));
/** The parser goes on after an error, and finds what follows from it. */
const MAX_SYNTAX_ERRORS = 5;

/** What the YAML file holds, or what is wrong with it; undefined where there is no such file. */
export function readConfigFile(path: string, label: string): FileContent | undefined {
  try {
    if (statSync(path).size > MAX_BYTES) {
      return faulty(label, `is larger than ${MAX_BYTES} bytes: this is no configuration`);
    }
    return parseConfigFile(readFileSync(path, "utf8"), label);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === undefined) throw error;
    return faulty(label, `cannot be read (${code})`);
  }
}

/** The same for text that was read already. */
export function parseConfigFile(text: string, label: string): FileContent {
  if (isDeeperThan(MAX_DEPTH, text)) return faulty(label, "is nested too deeply");
  const lines = new LineCounter();
  // Without pretty errors: they quote the line, and the line may hold a secret.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "error",
  });
  return new Reader(document, { text, label, lines }).read();
}

/**
 * Whether the text is nested deeper. Building its nodes recurses, and what exhausts the stack inside
 * a regular expression ends the process; the parser below it does not recurse.
 */
function isDeeperThan(maxDepth: number, text: string): boolean {
  const open: { token: CST.Token; depth: number }[] = [];
  for (const token of new Parser().parse(text)) open.push({ token, depth: 0 });
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next;
    if (depth > maxDepth) return true;
    for (const inner of innerTokens(token)) open.push({ token: inner, depth: depth + 1 });
  }
  return false;
}

function innerTokens(token: CST.Token): CST.Token[] {
  const parts = "items" in token ? token.items : [token as { value?: CST.Token }];
  return parts
    .flatMap((part) => [(part as { key?: CST.Token | null }).key, part.value])
    .filter((inner) => inner !== undefined && inner !== null);
}

function faulty(where: string, says: string): FileContent {
  return { entries: [], faults: [{ where, says }] };
}

interface Source {
  readonly text: string;
  readonly label: string;
  readonly lines: LineCounter;
}

/** Walks one document once. */
class Reader {
  readonly #document: Document;
  readonly #source: Source;
  readonly #entries = new Map<string, FileEntry>();
  readonly #faults: FileFault[] = [];

  constructor(document: Document, source: Source) {
    this.#document = document;
    this.#source = source;
  }

  read(): FileContent {
    const { errors, contents } = this.#document;
    for (const error of errors.slice(0, MAX_SYNTAX_ERRORS)) this.#refuseSyntax(error);
    if (errors.every((error) => error.code === "DUPLICATE_KEY") && !this.#hasAlias()) {
      if (isMap(contents)) this.#readMap(contents, "");
      else if (contents !== null && !isEmpty(contents)) {
        this.#refuse(contents, "must be keys and values, like `listen: 127.0.0.1:8080`");
      }
    }
    return { entries: [...this.#entries.values()], faults: this.#faults };
  }

  #readMap(map: YAMLMap, section: string): void {
    const names = new Set<string>();
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const name = isScalar(pair.key) ? String(pair.key.value) : "";
      // Given twice in one section: the parser has told so.
      if (names.has(name)) continue;
      names.add(name);
      const key = section === "" ? name : `${section}.${name}`;
      // A key whose values are all commented out is as good as absent.
      if (pair.value === null || isEmpty(pair.value)) continue;
      if (isMap(pair.value) && !Object.hasOwn(OPTIONS, key)) this.#readMap(pair.value, key);
      else this.#readValue(key, pair);
    }
  }

  #readValue(key: string, pair: Pair<Node, Node | null>): void {
    const where = this.#where(pair.key);
    const value: unknown = isCollection(pair.value)
      ? pair.value.toJS(this.#document)
      : isScalar(pair.value) && pair.value.value;
    if (OPTION_KEYS.some((known) => known.startsWith(`${key}.`))) {
      this.#faults.push({ where, says: `${key} is a section: its keys go below it` });
    } else if (this.#entries.has(key)) {
      const first = this.#entries.get(key)!.where;
      this.#faults.push({ where, says: `${key} was given at ${first} already` });
    } else this.#entries.set(key, { key, value, where });
  }

  #hasAlias(): boolean {
    let found: Node | undefined;
    visit(this.#document, (_key, node) => {
      if (!isAlias(node)) return undefined;
      found = node;
      return visit.BREAK;
    });
    if (found === undefined) return false;
    this.#refuse(found, "aliases (*) are not read here: write the value out");
    return true;
  }

  #refuseSyntax(error: YAMLError): void {
    const [offset] = error.pos;
    if (error.code === "DUPLICATE_KEY") {
      const name = /^["']?([\w.]+)/.exec(this.#source.text.slice(offset, offset + 100))?.[1];
      this.#fault(offset, `${KNOWN_WORDS.has(name ?? "") ? name : "a key"} is given twice`);
      return;
    }
    // By its code alone: the parser's sentence may quote the text.
    const reason = error.code.toLowerCase().replaceAll("_", " ");
    const { col } = this.#source.lines.linePos(offset);
    this.#fault(offset, `is not YAML at column ${col} (${reason})`);
  }

  #refuse(node: Node, says: string): void {
    this.#fault(node.range?.[0] ?? 0, says);
  }

  #fault(offset: number, says: string): void {
    this.#faults.push({ where: this.#at(offset), says });
  }

  #where(node: Node): string {
    return this.#at(node.range?.[0] ?? 0);
  }

  #at(offset: number): string {
    return `${this.#source.label}:${this.#source.lines.linePos(offset).line}`;
  }
}

function isEmpty(node: Node): boolean {
  return isScalar(node) && node.value === null;
}
