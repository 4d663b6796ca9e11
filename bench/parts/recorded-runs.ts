import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readRuns } from "../../src/cli/replay/read-runs.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import type { JsonObject } from "../../src/state/json.ts";

/** The conversations of examples/: of each recorded run, its messages in order. */
export function recordedConversations(): JsonObject[][] {
  const folder = join(packageRoot(), "examples");
  const files = readdirSync(folder).filter((name) => /\.jsonl?$/.test(name));
  const runs = files.flatMap((name) => readRuns(readFileSync(join(folder, name), "utf8"), name));
  return runs.map(({ briefing, request, events }) => [
    ...briefing,
    request,
    ...events.map(({ message }) => message),
  ]);
}
