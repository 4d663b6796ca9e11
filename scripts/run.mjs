// Compiles and runs a TypeScript program of this repository, as Node 20 cannot strip types.
//
//   node scripts/run.mjs bench/main.ts [arguments]
import { spawn, spawnSync } from "node:child_process";
import * as path from "node:path";
import { explain, install, root } from "./setup.mjs";

const [file, ...args] = process.argv.slice(2);
if (!file?.endsWith(".ts")) {
  console.error("usage: node scripts/run.mjs FILE.ts [arguments]     FILE in src/ or bench/");
  process.exit(2);
}

await install().catch(explain);
const compiler = path.join(root, "node_modules", "typescript", "bin", "tsc");
const compiled = spawnSync(process.execPath, [compiler, "-p", path.join(root, "scripts")], {
  stdio: ["ignore", 2, 2], // standard output belongs to the program
});
if (compiled.status !== 0) process.exit(1);

const program = path.relative(root, path.resolve(file)).replace(/\.ts$/, ".js");
const child = spawn(
  process.execPath,
  ["--enable-source-maps", path.join(root, "build", program), ...args],
  { stdio: "inherit" },
);
// Ctrl-C reaches the program too; it ends first, and we with it.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("close", (code) => process.exit(code ?? 1));
