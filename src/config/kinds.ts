import { isAbsolute, resolve } from "node:path";
import type { Json } from "../state/json.ts";

/** What is wrong with a value: where in it (`[1].role`; empty for the whole), and what it must be. */
export interface Problem {
  readonly at: string;
  readonly says: string;
}

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export interface ParseContext {
  /** Whether it came as text (flag, environment), so that `5` and `true` must be read from it. */
  readonly isText: boolean;
  /** What relative paths are relative to. */
  readonly cwd: string;
}

/** A kind of value: how it is read, what it may be, and how it is shown. */
export interface Kind<Value> {
  /** What it may be, after "must be": `a whole number from 1 to 16`. */
  readonly domain: string;
  parse(raw: unknown, context: ParseContext): Parsed<Value>;
  /** The value as a file would have it, with secrets as `***`. */
  show(value: Value): Json;
}

/** HOST:PORT, taken apart. */
export interface Address {
  /** Without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
}

/** The value was read. */
export function accepted<Value>(value: Value): Parsed<Value> {
  return { ok: true, value };
}

/** The value as a whole is wrong. */
export function refused(says: string): Parsed<never> {
  return { ok: false, problems: [{ at: "", says }] };
}

/** A whole number within bounds. */
export function integer(min: number, max: number): Kind<number> {
  const domain = `a whole number from ${min} to ${max}`;
  return {
    domain,
    parse(raw, { isText }) {
      const value = isText && /^-?\d{1,15}$/.test(String(raw)) ? Number(raw) : raw;
      const fits =
        typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
      return fits ? accepted(value) : refused(`must be ${domain}`);
    },
    show: (value) => value,
  };
}

/** true or false. */
export function toggle(): Kind<boolean> {
  return {
    domain: "true or false",
    parse(raw, { isText }) {
      if (typeof raw === "boolean") return accepted(raw);
      if (isText && (raw === "true" || raw === "false")) return accepted(raw === "true");
      return refused("must be true or false");
    },
    show: (value) => value,
  };
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly Word[]): Kind<Word> {
  const domain = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  return {
    domain,
    parse(raw) {
      const word = words.find((each) => each === raw);
      return word === undefined ? refused(`must be ${domain}`) : accepted(word);
    },
    show: (value) => value,
  };
}

/** Some of a few words, one of which must be among them; as text, with commas between them. */
export function selection<const Word extends string>(
  words: readonly Word[],
  needed: NoInfer<Word>,
): Kind<readonly Word[]> {
  const domain = `a list of ${words.join(", ")}, with ${needed} in it`;
  return {
    domain,
    parse(raw, { isText }) {
      const list: unknown = isText && typeof raw === "string" ? raw.split(",") : raw;
      if (!Array.isArray(list)) return refused(`must be ${domain}`);
      const said = list.map((each) => (typeof each === "string" ? each.trim() : each) as Word);
      const fits = said.includes(needed) && said.every((each) => words.includes(each));
      return fits
        ? accepted(words.filter((word) => said.includes(word)))
        : refused(`must be ${domain}`);
    },
    show: (value) => [...value],
  };
}

/** A folder; relative ones become absolute. The given words stand for themselves. */
export function folder(words: readonly string[] = []): Kind<string> {
  const domain = [...words.map((word) => `"${word}"`), "a folder"].join(" or ");
  return {
    domain,
    parse(raw, { cwd }) {
      if (typeof raw !== "string" || raw === "" || raw.includes("\0")) {
        return refused(`must be ${domain}`);
      }
      return accepted(words.includes(raw) || isAbsolute(raw) ? raw : resolve(cwd, raw));
    },
    show: (value) => value,
  };
}

/** A file, or "" for none; a relative one becomes absolute. */
export function file(): Kind<string> {
  const domain = '"" or a file';
  return {
    domain,
    parse(raw, { cwd }) {
      if (typeof raw !== "string" || raw.includes("\0")) return refused(`must be ${domain}`);
      return accepted(raw === "" || isAbsolute(raw) ? raw : resolve(cwd, raw));
    },
    show: (value) => value,
  };
}

const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/;

/** Where to listen. */
export function address(): Kind<Address> {
  const domain = "HOST:PORT, like 127.0.0.1:8080 or [::1]:8080";
  return {
    domain,
    parse(raw) {
      const match = typeof raw === "string" ? ADDRESS.exec(raw) : null;
      const port = Number(match?.[3]);
      if (match === null || port > 65_535) return refused(`must be ${domain}`);
      return accepted({ host: (match[1] ?? match[2])!, port });
    },
    show: ({ host, port }) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`),
  };
}

/** The name of a topic or of a group of consumers, as RocketMQ takes it. */
export function topicName(): Kind<string> {
  const domain = "a name of A-Z a-z 0-9 _ - %, 1 to 120 characters";
  return {
    domain,
    parse(raw) {
      const fits = typeof raw === "string" && /^[A-Za-z0-9_%-]{1,120}$/.test(raw);
      return fits ? accepted(raw) : refused(`must be ${domain}`);
    },
    show: (value) => value,
  };
}

/** Addresses of servers of which any will do; as text, with commas or semicolons between them. */
export function addresses(): Kind<readonly string[]> {
  const domain = "HOST:PORT, several with commas between them";
  return {
    domain,
    parse(raw) {
      const list: unknown = typeof raw === "string" ? raw.split(/[;,]/) : raw;
      if (!Array.isArray(list)) return refused(`must be ${domain}`);
      const said = list.map((each) => (typeof each === "string" ? each.trim() : ""));
      const named = said.length === 1 && said[0] === "" ? [] : said;
      const fits = named.every((each) => ADDRESS.test(each) && Number(/\d+$/.exec(each)) <= 65_535);
      return fits ? accepted(named) : refused(`must be ${domain}`);
    },
    show: (value) => [...value],
  };
}

/** A regular expression; it need not match from the beginning. */
export function pattern(): Kind<string> {
  const domain = "a regular expression";
  return {
    domain,
    parse(raw) {
      if (typeof raw !== "string" || raw === "") return refused(`must be ${domain}`);
      try {
        return accepted(new RegExp(raw, "u").source);
      } catch (error) {
        return refused(`must be ${domain}: ${(error as Error).message}`);
      }
    },
    show: (value) => value,
  };
}

/** A text of any kind that has no line break; empty where there is none. */
export function line(): Kind<string> {
  return {
    domain: "text on one line",
    parse: (raw) =>
      typeof raw === "string" && !/[\0\r\n]/.test(raw)
        ? accepted(raw)
        : refused("must be text on one line"),
    show: (value) => value,
  };
}

/** The same, of which nothing is ever told. */
export function secretLine(): Kind<string> {
  return { ...line(), show: (value) => (value === "" ? "" : "***") };
}
