import { AgentRuntimeError } from "../../state/errors.ts";
import type { ErrorFacts } from "../../state/errors.ts";
import { failureOf, sqlState, unavailable } from "../failure.ts";
import { SCHEMA_ADVICE } from "../schema-advice.ts";
import type { DataApiAddress } from "./address.ts";
import type { DataApiAnswer } from "./client.ts";

/** The call that was refused. */
interface Refused {
  readonly address: DataApiAddress;
  readonly fn: string;
  readonly writes: boolean;
}

/** What PostgREST says of an error, its own or the database's. */
interface Complaint {
  readonly code: string;
  readonly message: string;
}

const NOTHING_HAPPENED: ErrorFacts = { mayHaveHappened: false };

/** Whether the API does not know the function: so it is for some seconds after a migration. */
export function isUnknownFunction(answer: DataApiAnswer): boolean {
  return answer.status === 404 && complaintOf(answer)?.code === "PGRST202";
}

/** What an answer that is no success means for the caller. */
export function refusalOf(answer: DataApiAnswer, refused: Refused): AgentRuntimeError {
  const complaint = complaintOf(answer);
  if (complaint !== undefined) {
    const error = ofComplaint(complaint, refused);
    if (error !== undefined) return error;
  }
  const { address, writes } = refused;
  const said = `${answer.status}${complaint === undefined ? "" : `: ${mask(complaint.message, address)}`}`;
  if (answer.status === 401 || answer.status === 403) return keyRefused(said, address);
  if (answer.status === 413) {
    return new AgentRuntimeError(
      "PAYLOAD_TOO_LARGE",
      `The Data API does not take a changeset of this size (${said}). Split it; nothing happened.`,
      NOTHING_HAPPENED,
    );
  }
  if (answer.status === 429) {
    return new AgentRuntimeError(
      "RATE_LIMITED",
      `The Data API is asked too often (${said}). Nothing happened; try again later.`,
      { ...NOTHING_HAPPENED, retryAfterMs: retryAfterMs(answer.headers) ?? 1_000 },
    );
  }
  if (answer.status < 500) {
    const sentence = `${said}; is \`${address.setting}\` the URL of the project?`;
    return unavailable(new Error(sentence), false);
  }
  // Something between here and the database answered: nobody knows how far the call came.
  return unavailable(new Error(said), writes, retryAfterMs(answer.headers));
}

function ofComplaint(complaint: Complaint, refused: Refused): AgentRuntimeError | undefined {
  const { code } = complaint;
  const { address, fn, writes } = refused;
  const message = mask(complaint.message, address);
  if (code === "42501") {
    return notAllowed(message, refused);
  }
  if (sqlState({ code }) !== undefined) {
    return failureOf(Object.assign(new Error(message), { code }), writes);
  }
  // The database is away, or has no connection free: the call waited before it.
  if (/^PGRST00\d$/.test(code)) return unavailable(new Error(`${code}: ${message}`), false);
  if (code === "PGRST202" || code === "PGRST106") {
    return new AgentRuntimeError(
      "SCHEMA_MISMATCH",
      `The Data API does not know the function agent_state_api.${fn} (${code}). ${SCHEMA_ADVICE}`,
      NOTHING_HAPPENED,
    );
  }
  if (/^PGRST3\d\d$/.test(code)) return keyRefused(`${code}: ${message}`, address);
  if (!code.startsWith("PGRST")) return undefined;
  return new AgentRuntimeError(
    "INTERNAL",
    `The Data API refused a call of ${fn} (${code}: ${message}). This is a fault of this program.`,
    NOTHING_HAPPENED,
  );
}

function keyRefused(said: string, { setting }: DataApiAddress): AgentRuntimeError {
  return new AgentRuntimeError(
    "UNAVAILABLE",
    `The Data API refused the key in \`${setting}Key\` (${said}). ` +
      "Set a secret key of this project, or a JWT that is signed for it and has not expired; nothing happened.",
    { ...NOTHING_HAPPENED, field: `${setting}Key` },
  );
}

function notAllowed(message: string, { address, fn }: Refused): AgentRuntimeError {
  return new AgentRuntimeError(
    "UNAVAILABLE",
    `The role of the key in \`${address.setting}Key\` may not call ${fn} (42501: ${message}). ` +
      "Use a secret key, or a JWT whose role is agent_state_operator; nothing happened.",
    { ...NOTHING_HAPPENED, field: `${address.setting}Key` },
  );
}

function complaintOf({ text }: DataApiAnswer): Complaint | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined; // a page of the edge
  }
  if (typeof body !== "object" || body === null) return undefined;
  const { code, message } = body as { code?: unknown; message?: unknown };
  if (typeof message !== "string") return undefined;
  return { message, code: typeof code === "string" ? code : "" };
}

/** Should an answer hold the key, nobody is told. */
function mask(text: string, { key }: DataApiAddress): string {
  return key.split(" ").reduce((masked, word) => masked.replaceAll(word, "***"), text);
}

function retryAfterMs(headers: Headers): number | undefined {
  const seconds = Number(headers.get("retry-after"));
  return seconds > 0 ? Math.ceil(seconds * 1_000) : undefined;
}
