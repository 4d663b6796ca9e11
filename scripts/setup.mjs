// Installs the dependencies and builds dist/, each only where it is needed.
//
// Any number of starts may call this at the same moment: one does the work, the others wait for it.
// Plain JavaScript without dependencies, because it runs before there are any.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const waitLimitMs = 10 * 60_000;
const inRoot = (...parts) => path.join(root, ...parts);
const lock = inRoot(".setup-lock");
const lockfile = inRoot("package-lock.json");
const compiler = inRoot("node_modules", "typescript", "bin", "tsc");
const installed = inRoot("node_modules", ".package-lock.json"); // npm writes it last
const built = inRoot("dist", ".built");
const buildInputs = [
  inRoot("src"),
  lockfile,
  inRoot("tsconfig.json"),
  inRoot("tsconfig.build.json"),
];

/** Makes sure that node_modules/ is what package-lock.json says. */
export async function install() {
  if (isInstalled()) return;
  await locked(() => {
    if (!isInstalled()) runInstall();
  });
}

/** Makes sure that node_modules/ and dist/ are there and no older than what they are made of. */
export async function setUp() {
  if (isInstalled() && isBuilt()) return;
  await locked(() => {
    if (!isInstalled()) runInstall();
    if (!isBuilt()) runBuild();
  });
}

/** Compiles the programs of this repository into build/; one at a time, so that none is started half written. */
export async function compilePrograms() {
  await install();
  await locked(() => run(process.execPath, [compiler, "-p", inRoot("scripts")]));
}

/** Ends this process with a sentence and status 1, where `error` is one that `setUp` threw on purpose. */
export function explain(error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exit(1);
}

class SetupError extends Error {}

function say(text) {
  process.stderr.write(`agent_runtime: ${text}\n`);
}

function isInstalled() {
  const then = changedAt(installed);
  return then !== undefined && then >= changedAt(lockfile);
}

function isBuilt() {
  const then = changedAt(built);
  return then !== undefined && buildInputs.every((input) => newestIn(input) <= then);
}

/** When the file, or the newest file or folder below it, was changed; tests are no part of a build. */
function newestIn(input) {
  const own = changedAt(input) ?? 0;
  if (!fs.statSync(input).isDirectory()) return own;
  const inside = fs.readdirSync(input).filter((name) => !name.endsWith(".test.ts"));
  return Math.max(own, ...inside.map((name) => newestIn(path.join(input, name))));
}

function changedAt(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

function runInstall() {
  say("installing the dependencies (npm ci), once; this takes about half a minute ...");
  // The compiler is a development dependency, so NODE_ENV=production must not leave it out.
  run("npm", [
    "ci",
    "--include=dev",
    "--include=optional",
    "--no-fund",
    "--no-audit",
    "--loglevel=error",
  ]);
}

function runBuild() {
  say("building dist/ (tsc) ...");
  const fresh = inRoot(`dist.${process.pid}`);
  try {
    fs.mkdirSync(fresh);
    // Stamped before the compiler reads: what changes while it runs is newer than the stamp.
    fs.writeFileSync(path.join(fresh, ".built"), "");
    run(process.execPath, [compiler, "-p", inRoot("tsconfig.build.json"), "--outDir", fresh]);
    fs.rmSync(inRoot("dist"), { recursive: true, force: true });
    fs.renameSync(fresh, inRoot("dist"));
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
}

function run(command, args) {
  const name = [command, ...args].find((part) => /^(npm|tsc)$/.test(path.basename(part)));
  const { error, status, signal } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2], // standard output belongs to the program that is started next
    shell: process.platform === "win32", // npm is a .cmd file there
  });
  if (error?.code === "ENOENT") {
    throw new SetupError(
      `no ${name} on the PATH: install it (it comes with Node.js) and try again.`,
    );
  }
  if (error) throw error;
  if (status !== 0) {
    throw new SetupError(
      `${name} ended with ${signal ?? `status ${status}`}; what it says is above.`,
    );
  }
}

/**
 * Runs `work` while no other process does.
 *
 * The lock is a symbolic link to nothing, named after its owner's process id: made in one atomic
 * step together with the id that tells the others whether its owner still lives.
 */
async function locked(work) {
  const deadline = performance.now() + waitLimitMs;
  let told = false;
  while (!link(lock)) {
    const owner = ownerOf(lock);
    if (owner === undefined) continue; // released just now
    if (!isAlive(owner)) {
      removeDead();
    } else if (!told) {
      told = true;
      say(`waiting for process ${owner}, which is setting up ...`);
    }
    if (performance.now() > deadline) {
      throw new SetupError(
        `process ${owner} seems to be setting up for 10 minutes. If it is not, remove ${lock}*.`,
      );
    }
    await sleep(50);
  }
  try {
    work();
  } finally {
    fs.rmSync(lock, { force: true });
  }
}

/**
 * Removes the lock of an owner that died.
 *
 * One at a time, and looked at again when it is our turn: otherwise a slow one could remove the
 * lock that a faster one has taken meanwhile.
 */
function removeDead() {
  const turn = `${lock}-turn`;
  if (!link(turn)) return;
  try {
    const owner = ownerOf(lock);
    if (owner !== undefined && !isAlive(owner)) fs.rmSync(lock, { force: true });
  } finally {
    fs.rmSync(turn, { force: true });
  }
}

function link(file) {
  try {
    fs.symlinkSync(`process-${process.pid}`, file);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw new SetupError(`cannot write to ${root}, where it installs and builds: ${error.message}`);
  }
}

function ownerOf(file) {
  try {
    return Number(fs.readlinkSync(file).replace("process-", ""));
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM"; // alive, and somebody else's
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await setUp().catch(explain);
