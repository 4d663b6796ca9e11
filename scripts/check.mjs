// `npm run check`: all that can be said about the code without running the system, one line a check.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as path from "node:path";
import { explain, install, root } from "./setup.mjs";

const linted = ["src", "test", "bench", "dev", "scripts", "dashboard"].filter((name) =>
  existsSync(path.join(root, name)),
);
const checks = {
  types: ["typescript/bin/tsc", "-p", "tsconfig.json"],
  lint: ["oxlint/bin/oxlint", "--type-aware", "--deny-warnings", ...linted],
  format: ["prettier/bin/prettier.cjs", "--check", "--log-level=warn", "."],
  unused: ["knip/bin/knip.js", "--no-progress"],
  tidy: ["vitest/vitest.mjs", "run", "--project", "unit", "test/tidy.test.ts"],
};

await install().catch(explain);
for (const [name, [program, ...args]] of Object.entries(checks)) {
  const started = performance.now();
  const { isGood, output } = await run(path.join(root, "node_modules", program), args);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${isGood ? "ok  " : "FAIL"} ${name.padEnd(7)} ${seconds.padStart(5)} s`);
  if (!isGood) {
    console.log(output.trimEnd());
    process.exitCode = 1;
  }
}

function run(program, args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], { cwd: root, stdio: "pipe" });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text) => (output += text));
    child.on("close", (code) => resolve({ isGood: code === 0, output }));
  });
}
