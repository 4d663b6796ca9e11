import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

const shared = {
  environment: "node",
  pool: "forks", // a test may kill, exit or block its process
  testTimeout: 120_000,
  hookTimeout: 180_000,
  expect: { poll: { timeout: 60_000 } },
} as const;

// What takes too long for `npm test` and has no shorter form.
const proofs = process.env["PROVE"] === "full" ? ["test/**/*.prove.ts"] : [];
// What needs a Kubernetes API server: `npm run test:cluster`.
const onCluster = process.env["CLUSTER"] === "1" ? ["test/cluster/*.cluster.ts"] : [];

// Two projects, so that unit tests alone start no server: `npx vitest run --project unit`.
export default defineConfig({
  test: {
    maxWorkers: 3, // on two cores too: a third of the time is waiting for servers that start, sync and are killed
    sequence: { sequencer: LongestFirst },
    reporters: ["./test/support/reporter.ts"],
    projects: [
      {
        // They leave nothing behind, so one process may run them all: a third of the time.
        test: {
          ...shared,
          name: "unit",
          include: ["src/**/*.test.ts", "test/tidy.test.ts"],
          isolate: false,
        },
      },
      {
        test: {
          ...shared,
          name: "system",
          include: ["test/**/*.test.ts", ...proofs, ...onCluster],
          exclude: ["test/tidy.test.ts"],
          globalSetup: ["test/support/services.ts"],
        },
      },
    ],
  },
});
