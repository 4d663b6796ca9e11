/** What `fetch` says of a port that it never connects to, without a code. */
const BAD_PORT = "bad port";

/** Failures that come before the first byte of a request. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  BAD_PORT,
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Why a `fetch` got no answer, as one word or sentence; and whether that is sure to be before it sent anything. */
export function networkFailure(error: unknown): {
  readonly why: string;
  readonly neverSent: boolean;
} {
  const code = causeCode(error) ?? refusedPort(error);
  return {
    why: code ?? (error instanceof Error ? error.message : String(error)),
    neverSent: code !== undefined && NEVER_SENT.has(code),
  };
}

function refusedPort(error: unknown): string | undefined {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.message === BAD_PORT ? BAD_PORT : undefined;
}

/** `fetch` itself only says that it failed; its causes know. */
function causeCode(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; depth++) {
    const code: unknown = (at as { code?: unknown }).code;
    if (typeof code === "string") return code;
    const inner: unknown = at instanceof AggregateError ? at.errors[0] : undefined;
    at = inner ?? at.cause;
  }
  return undefined;
}
