import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { extname, join } from "node:path";
import type { FastifyInstance, FastifyReply } from "fastify";
import { AgentRuntimeError } from "../state/errors.ts";
import { packageRoot } from "../service/package-root.ts";

interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Nothing from elsewhere, nothing inline, in nobody's frame: markup that came as data could do nothing. */
const HEADERS = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  // Asked again each time, and answered 304: a new release shows at once.
  "cache-control": "no-cache",
};

/** `/`, the dashboard, and the files that it is made of. They hold no data: who looks needs no token for them. */
export function dashboardRoutes(app: FastifyInstance): void {
  const assets = readAssets(join(packageRoot(), "dashboard"));
  const config = { isOpen: true };

  app.get("/", { config }, async (request, reply) =>
    sendAsset(reply, assets.get("index.html"), request.headers["if-none-match"]),
  );

  app.get("/dashboard/:file", { config }, async (request, reply) => {
    const { file } = request.params as { readonly file: string };
    return sendAsset(reply, assets.get(file), request.headers["if-none-match"]);
  });
}

/** A name that is not among the files read at the start leads nowhere, whatever is in it. */
function sendAsset(
  reply: FastifyReply,
  asset: Asset | undefined,
  known: string | undefined,
): FastifyReply {
  if (asset === undefined) {
    throw new AgentRuntimeError("ROUTE_NOT_FOUND", "the dashboard has no such file; it is at /");
  }
  reply.headers(HEADERS).header("etag", asset.etag);
  if (known === asset.etag) return reply.code(304).send();
  return reply.header("content-type", asset.type).send(asset.body);
}

function readAssets(folder: string): ReadonlyMap<string, Asset> {
  const files = readdirSync(folder);
  return new Map(
    files.flatMap((file): [string, Asset][] => {
      const type = TYPES[extname(file)];
      if (type === undefined) return [];
      const body = readFileSync(join(folder, file));
      const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
      return [[file, { type, body, etag }]];
    }),
  );
}
