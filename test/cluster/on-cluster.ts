import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, test } from "vitest";
import type { Missing } from "../../scripts/parts.d.mts";
import type { ClusterTools } from "../../scripts/cluster-parts.d.mts";
import { packageRoot } from "../../src/service/package-root.ts";
import { startCluster } from "./cluster.ts";
import type { OwnCluster } from "./cluster.ts";

// Loaded by its path: it is plain JavaScript.
export const { findCluster } = (await import(
  pathToFileURL(join(packageRoot(), "scripts", "cluster-parts.mjs")).href
)) as { readonly findCluster: () => ClusterTools | Missing };

/** Runs a suite on a cluster of its own; where there can be none, one test stands for it, skipped with the reason. */
export async function describeOnCluster(
  name: string,
  suite: (cluster: OwnCluster) => void,
): Promise<void> {
  const tools = findCluster();
  const cluster = tools.missing === undefined ? await startCluster(tools) : null;
  const whole = (own: OwnCluster): void => {
    afterAll(() => own.stop());
    suite(own);
  };
  describe(`${name}, on a cluster`, () => {
    if (cluster === null) skipped(tools.missing ?? "a cluster");
    else whole(cluster);
  });
}

function skipped(missing: string): void {
  test("has all that it runs on", (context) => context.skip(`not here: ${missing}`));
}
