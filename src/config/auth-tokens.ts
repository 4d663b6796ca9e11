import type { Json } from "../state/json.ts";
import { nearest } from "../state/nearest.ts";
import { quote } from "../state/quote.ts";
import { accepted, refused } from "./kinds.ts";
import type { Kind, Problem } from "./kinds.ts";

export const ROLES = ["reader", "writer", "operator"] as const;

/** What a token may do: read; read and write; all, including what concerns the service itself. */
export type Role = (typeof ROLES)[number];

/** Who may come in. */
export interface AuthToken {
  /** Told in logs, in place of the token. */
  readonly name: string;
  readonly token: string;
  /** The only namespace that it may touch; null: any, as the request says. */
  readonly namespace: string | null;
  readonly role: Role;
}

/** More than these in a file belong in an identity provider. */
const MAX_TOKENS = 1_000;
/** What fits behind `Bearer ` in a header (RFC 6750). */
const TOKEN = /^[A-Za-z0-9._~+/-]{1,512}=*$/;
const NAME = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}/]{1,200}$/u;

const FIELDS: Readonly<Record<keyof AuthToken, (value: unknown) => string | undefined>> = {
  name: (value) => (isName(value) ? undefined : "must be 1 to 200 printable characters without /"),
  token: (value) =>
    typeof value === "string" && TOKEN.test(value)
      ? undefined
      : "must be 1 to 512 characters of A-Z a-z 0-9 . _ ~ + / - =",
  namespace: (value) =>
    value === undefined || value === null || isName(value)
      ? undefined
      : "must be 1 to 200 printable characters without /, or left out for any namespace",
  role: (value) =>
    ROLES.some((role) => role === value) ? undefined : "must be reader, writer or operator",
};

/** The list of tokens; as text, it is JSON. Nothing of a token is ever told. */
export function authTokens(): Kind<readonly AuthToken[]> {
  const domain = "a list of {name, token, namespace, role}";
  return {
    domain,
    parse(raw, { isText }) {
      const list = isText && typeof raw === "string" ? parseJson(raw) : raw;
      if (!Array.isArray(list)) return refused(`must be ${domain}${isText ? " in JSON" : ""}`);
      if (list.length > MAX_TOKENS) return refused(`must be at most ${MAX_TOKENS} tokens`);
      const items: readonly unknown[] = list;
      const problems = items.flatMap((item, index) => problemsOf(item, index));
      if (problems.length > 0) return { ok: false, problems };
      const tokens = (items as readonly Partial<AuthToken>[]).map(toToken);
      const repeated = repetitions(tokens);
      return repeated.length > 0 ? { ok: false, problems: repeated } : accepted(tokens);
    },
    show: (tokens) =>
      tokens.map(({ name, namespace, role }): Json => ({ name, token: "***", namespace, role })),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, and the text holds tokens.
    return undefined;
  }
}

function problemsOf(item: unknown, index: number): Problem[] {
  const at = `[${index}]`;
  if (typeof item !== "object" || item === null || Array.isArray(item)) {
    return [{ at, says: "must be {name, token, namespace, role}" }];
  }
  const fields = Object.keys(FIELDS) as (keyof AuthToken)[];
  const problems: Problem[] = [];
  for (const field of Object.keys(item)) {
    if (fields.some((known) => known === field)) continue;
    const near = nearest(field, fields);
    // Not quoted where it is near nothing: it may be a token that was written as a field.
    const says =
      near === undefined
        ? `has an unknown field; it may have: ${fields.join(", ")}`
        : `has an unknown field ${quote(field)}; did you mean ${near}?`;
    problems.push({ at, says });
  }
  for (const field of fields) {
    const says = FIELDS[field]((item as Partial<AuthToken>)[field]);
    if (says !== undefined) problems.push({ at: `${at}.${field}`, says });
  }
  return problems;
}

function toToken(item: Partial<AuthToken>): AuthToken {
  const { name, token, role } = item as AuthToken;
  return { name, token, namespace: item.namespace ?? null, role };
}

/** Two of the same name could not be told apart in a log; two of the same token not at the door. */
function repetitions(tokens: readonly AuthToken[]): Problem[] {
  const problems: Problem[] = [];
  for (const field of ["name", "token"] as const) {
    const first = new Map<string, number>();
    for (const [index, token] of tokens.entries()) {
      const before = first.get(token[field]);
      if (before === undefined) first.set(token[field], index);
      else problems.push({ at: `[${index}].${field}`, says: `is the same as that of [${before}]` });
    }
  }
  return problems;
}

function isName(value: unknown): value is string {
  return typeof value === "string" && NAME.test(value);
}
