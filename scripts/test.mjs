// `npm test`: from a fresh clone to the tests' closing line. Installs what is missing, builds, tests.
//
//   node scripts/test.mjs [--prove] [--cluster] [arguments of vitest]
//
// With --cluster those that need a Kubernetes API server, and no others.
import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { provideCluster } from "./cluster-parts.mjs";
import { findHelm, findKubernetesSchema, provideDeployTools } from "./deploy-tools.mjs";
import { provideNode, provideParts } from "./parts.mjs";
import { explain, root, setUp } from "./setup.mjs";

const args = process.argv.slice(2);
const isProof = args.includes("--prove");
const isCluster = args.includes("--cluster");
const forVitest = args.filter((arg) => arg !== "--prove" && arg !== "--cluster");

await setUp().catch(explain);
reportMissing({ ...provideParts(), ...(isCluster ? provideForCluster() : {}) });
process.exitCode = runTests(
  isCluster ? ["test/cluster", "--maxWorkers=1", ...forVitest] : forVitest,
);

/** Helm is built once the others are, where there is Go for it. */
function provideForCluster() {
  const cluster = provideCluster();
  if (cluster.missing === undefined) provideDeployTools();
  return { cluster, node: provideNode(), helm: findHelm(), schema: findKubernetesSchema() };
}

/** A missing part skips its suites on a developer's machine; where CI=true it fails. */
function reportMissing(parts) {
  const missing = Object.entries(parts).filter(([, part]) => part.missing !== undefined);
  if (missing.length === 0) return;
  for (const [name, part] of missing) {
    const instead = name === "postgres" ? "npm's serves instead" : "the suites on it are skipped";
    console.error(`missing: ${part.missing}; ${instead}`);
  }
  if (process.env.CI !== "true") return;
  console.error("CI=true: nothing may be skipped, so this run fails");
  process.exit(1);
}

function runTests(vitestArgs) {
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
  const { status } = spawnSync(process.execPath, [vitest, "run", ...vitestArgs], {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      ...(isProof ? { PROVE: "full" } : {}),
      ...(isCluster ? { CLUSTER: "1" } : {}),
    },
  });
  return status ?? 1;
}
