import { quote } from "../state/quote.ts";
import { isDataApi, isLoopback } from "./database-kinds.ts";
import type { Config } from "./options.ts";

/** Shorter ones can be guessed by trying. */
const STRONG_TOKEN_CHARACTERS = 16;

const DATABASES = ["main", "readonly", "rollback"] as const;

/** Any of these in its URL says whether a connection is encrypted. */
const TLS_PARAMETERS = ["sslmode", "ssl", "sslrootcert", "sslcert", "sslkey"];

/** What is right, and still worth a word in the log. */
export function warningsOf(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const isSaid = env["PGSSLMODE"] !== undefined && env["PGSSLMODE"] !== "";
  return [...weakTokens(config), ...idleRocketmq(config), ...(isSaid ? [] : inTheClear(config))];
}

function weakTokens(config: Config): string[] {
  return config.auth.tokens
    .filter(({ token }) => token.length < STRONG_TOKEN_CHARACTERS)
    .map(
      ({ name }) =>
        `The token of ${quote(name)} has fewer than ${STRONG_TOKEN_CHARACTERS} characters: it can be guessed.`,
    );
}

/** Naming one alone switches nothing on, and who forgot the other half would never hear of it. */
function idleRocketmq({ messages, rocketmq }: Config): string[] {
  return messages === "none" && rocketmq.endpoints.length > 0
    ? ["rocketmq.endpoints names a RocketMQ, and nothing is sent to it: set messages to rocketmq."]
    : [];
}

/** Without a word about it the driver does not even ask the server for encryption, and nobody would notice. */
function inTheClear({ supabase }: Config): string[] {
  return DATABASES.flatMap((role) => {
    const host = hostInTheClear(supabase[role]);
    if (host === null) return [];
    return [
      `supabase.${role} is reached at ${host} without encryption: others on the way can read and change everything. ` +
        "Add sslmode=verify-full to its URL (and sslrootcert=FILE if its authority is one of its own, as Supabase's is), " +
        "or sslmode=disable if the network is yours alone.",
    ];
  });
}

/** The other machine that an URL leads to, where it says nothing of encryption. */
function hostInTheClear(text: string): string | null {
  if (text === "" || isDataApi(text)) return null;
  const { hostname, searchParams } = new URL(text);
  const host = searchParams.get("host") ?? decodeURIComponent(hostname);
  const isHere = host === "" || host.startsWith("/") || isLoopback(host);
  return isHere || TLS_PARAMETERS.some((name) => searchParams.has(name)) ? null : host;
}
