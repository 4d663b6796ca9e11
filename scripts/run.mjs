// Compiles and runs a TypeScript program of this repository, as Node 20 cannot strip types.
//
//   node scripts/run.mjs bench/main.ts [arguments]
import { spawn } from "node:child_process";
import * as path from "node:path";
import { compilePrograms, explain, root } from "./setup.mjs";

const [file, ...args] = process.argv.slice(2);
if (!file?.endsWith(".ts")) {
  console.error("usage: node scripts/run.mjs FILE.ts [arguments]     FILE in src/, bench/ or dev/");
  process.exit(2);
}

await compilePrograms().catch(explain);

const program = path.relative(root, path.resolve(file)).replace(/\.ts$/, ".js");
const child = spawn(
  process.execPath,
  ["--enable-source-maps", path.join(root, "build", program), ...args],
  { stdio: "inherit" },
);
// Ctrl-C reaches the program too; it ends first, and we with it.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("close", (code) => process.exit(code ?? 1));
