import { isUtf8 } from "node:buffer";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseJsonText } from "../state/json-text.ts";
import { toObject } from "../state/fields.ts";
import type { Json, JsonObject } from "../state/json.ts";
import type { ServerLimits } from "./options.ts";

/** Levels that an envelope adds around a document: the body, `writes`, one of them, `changes`, one. */
const ENVELOPE_DEPTH = 5;

export const JSON_TYPE = "application/json";
export const MERGE_PATCH_TYPE = "application/merge-patch+json";
export const JSON_PATCH_TYPE = "application/json-patch+json";

/** Makes the server read each body as bytes and leave their meaning to `readBody`. */
export function readBodiesRaw(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
}

/**
 * The JSON value that a request carries.
 *
 * @throws {AgentRuntimeError} UNSUPPORTED_MEDIA_TYPE, INVALID_JSON, INVALID_DATA, PAYLOAD_TOO_LARGE.
 */
export function readBody(request: FastifyRequest, limits: ServerLimits): Json {
  const body = request.body;
  if (!Buffer.isBuffer(body) || body.length === 0) {
    throw new AgentRuntimeError("INVALID_JSON", "the body is empty; send a JSON document");
  }
  if (!isUtf8(body)) {
    throw new AgentRuntimeError("INVALID_JSON", "the body is not UTF-8; encode it as UTF-8");
  }
  return parseJsonText(body.toString("utf8"), {
    dataBytes: limits.bodyBytes,
    dataDepth: limits.dataDepth + ENVELOPE_DEPTH,
  });
}

/** The fields of a request that may leave out all of them, and its body too. */
export function readFields(request: FastifyRequest, limits: ServerLimits): JsonObject {
  if (request.headers["content-length"] === "0" || request.body === undefined) return {};
  mediaTypeOf(request, [JSON_TYPE]);
  return toObject(readBody(request, limits), "the body");
}

/** The media type of the body, one of those that the route takes. */
export function mediaTypeOf<Type extends string>(
  request: FastifyRequest,
  accepted: readonly Type[],
): Type {
  const { "content-type": header = "", "content-encoding": encoding = "identity" } =
    request.headers;
  // What nearly everybody sends needs no taking apart.
  if (header === accepted[0] && encoding === "identity") return header as Type;
  const [essence = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
  const type = accepted.find((one) => one === essence);
  const isUtf = parameters.every((one) => !one.startsWith("charset=") || /utf-?8"?$/.test(one));
  if (type !== undefined && isUtf && encoding === "identity") return type;
  const packed = encoding === "identity" ? "" : `, compressed by ${encoding}`;
  const sent = (type === undefined ? essence : header) || "nothing";
  throw new AgentRuntimeError(
    "UNSUPPORTED_MEDIA_TYPE",
    `this takes Content-Type ${accepted.join(" or ")}, in UTF-8 and not compressed; it was sent ${sent}${packed}`,
    { field: "Content-Type" },
  );
}

/** Nothing, where a request that has no use for a body has none. */
export function refuseBody(request: FastifyRequest): void {
  if (!Buffer.isBuffer(request.body) || request.body.length === 0) return;
  throw new AgentRuntimeError("INVALID_REQUEST", "this call takes no body; use the query instead");
}
