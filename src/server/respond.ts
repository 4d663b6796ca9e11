import type { FastifyReply, FastifyRequest } from "fastify";
import { CUT, formatSessionToken, MAX_ENTRIES, rememberVersion } from "../state/session-token.ts";
import type { SessionToken } from "../state/request.ts";
import type { Written } from "../state/state.ts";
import { writtenJson } from "./encode.ts";
import { etagOf, sessionOf } from "./headers.ts";

const JSON_TYPE = "application/json; charset=utf-8";

/** Answers with a JSON value: text is made here, so that the framework looks for no schema. */
export function sendJson(reply: FastifyReply, value: object): FastifyReply {
  return reply.header("content-type", JSON_TYPE).send(JSON.stringify(value));
}

/** Answers a write to one state: its ETag, the session's token, 201 where it is new. */
export function sendWritten(
  request: FastifyRequest,
  reply: FastifyReply,
  written: Written,
): FastifyReply {
  reply.code(written.created ? 201 : 200).header("etag", etagOf(written.version));
  return sendJson(tellSession(request, reply, [written]), writtenJson(written));
}

/** Adds the Session-Token: what the request's session knew, and what it has seen now. */
export function tellSession(
  request: FastifyRequest,
  reply: FastifyReply,
  seen: readonly SessionToken[],
): FastifyReply {
  const before = sessionOf(request);
  // What is left out has to be told: a copy that lacks it must not serve it.
  const known = seen.length > MAX_ENTRIES ? [CUT, ...before] : before;
  const session = seen.slice(-MAX_ENTRIES).reduce(rememberVersion, known);
  return reply.header("session-token", formatSessionToken(session));
}
