import type { FastifyInstance } from "fastify";
import { checkFields } from "../state/nearest.ts";
import { CHECK_NAMES } from "../state/fsck.ts";
import type { CheckName, FsckOptions } from "../state/fsck.ts";
import { readFields } from "./body.ts";
import { definedOnly } from "../state/defined.ts";
import { findingJson, findingsJson } from "./encode.ts";
import {
  arrayIn,
  countIn,
  flagIn,
  limitIn,
  refused,
  switchIn,
  textIn,
  wordIn,
} from "../state/fields.ts";
import type { Given } from "../state/fields.ts";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { sendJson } from "./respond.ts";

const FIELDS = ["scope", "checks", "plan", "fix"] as const;

/** `/v1/fsck`: what was found, and to look now. */
export function fsckRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  app.get("/v1/fsck", async (request, reply) => {
    const query = queryOf(request, ["scope", "all", "limit", "before"]);
    const findings = await face.findings(
      definedOnly({
        namespace: request.namespace,
        scope: textIn(query, "scope", "INVALID_SCOPE"),
        all: flagIn(query, "all"),
        limit: limitIn(query),
        before: countIn(query, "before", "INVALID_VERSION"),
      }),
    );
    return sendJson(reply, findingsJson(findings));
  });

  app.post("/v1/fsck", { config: { forOperators: true } }, async (request, reply) => {
    queryOf(request, []);
    const options = parseFsck(readFields(request, limits));
    const report = await face.fsck(definedOnly({ ...options, namespace: request.namespace }));
    return sendJson(reply, { ...report, findings: report.findings.map(findingJson) });
  });
}

function parseFsck(given: Given): FsckOptions {
  checkFields(given, FIELDS, "the body");
  return definedOnly({
    scope: textIn(given, "scope", "INVALID_SCOPE"),
    checks: given["checks"] === undefined ? undefined : checksIn(given),
    plan: switchIn(given, "plan"),
    fix: wordIn(given, "fix", ["safe"] as const),
  });
}

function checksIn(given: Given): CheckName[] {
  return arrayIn(given, "checks", "INVALID_REQUEST").map((name) => {
    const check = CHECK_NAMES.find((known) => known === name);
    if (check !== undefined) return check;
    throw refused("INVALID_REQUEST", "checks", `must be some of ${CHECK_NAMES.join(", ")}`);
  });
}
