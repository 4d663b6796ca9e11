// The parts of the system that the tests run on and npm does not bring: PostgreSQL's own binaries,
// PgBouncer, Redis and Valkey, the Lua of its scripts, what runs a RocketMQ, and a browser. Finds them; installs what is missing where it may (root, on
// Debian or the like).
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { homedir, tmpdir } from "node:os";
import * as path from "node:path";
import { root } from "./setup.mjs";

const preferredMajors = [15, 18, 17, 16]; // the oldest that is supported first: it is the strictest
const installations = "/usr/lib/postgresql";
const containerPackages = ["containerd", "runc", "busybox-static"];
const pluginsFolder = "/usr/lib/cni";
const nodePackages = ["containernetworking-plugins", "iproute2", "buildah", "debootstrap"];
const luaPackages = ["lua5.1", "lua5.4"];
const policyFile = "/usr/sbin/policy-rc.d";

/** Where each part is, or why it is not there. */
export function findParts() {
  return {
    postgres: findPostgres(),
    pgbouncer: findPgbouncer(),
    rocketmq: findRocketmq(),
    browser: findBrowser(),
    redis: findRedis(),
    valkey: findValkey(),
    lua: findLua(),
    containerd: findContainerd(),
  };
}

/** Installs what is missing, if this is root on a system with apt-get, and says so; then finds again. */
export function provideParts() {
  const parts = findParts();
  const isHere = ({ missing }) => missing === undefined;
  if (Object.values(parts).every(isHere) || !mayInstall()) return parts;

  const packages = [
    ...(isHere(parts.postgres) ? [] : ["postgresql"]),
    ...(isHere(parts.pgbouncer) ? [] : ["pgbouncer"]),
    ...(isHere(parts.redis) ? [] : ["redis-server"]),
    ...(isHere(parts.lua) ? [] : luaPackages),
    ...(isHere(parts.rocketmq) ? [] : ["default-jre-headless", "maven"]),
    ...(isHere(parts.containerd) ? [] : containerPackages),
  ];
  // By itself: where the system has no such package, the others are installed all the same.
  const sets = [packages, isHere(parts.browser) ? [] : ["chromium"]];
  const newer = isHere(parts.valkey) ? [] : ["valkey-server"];
  console.error(`installing ${[...sets, newer].flat().join(" and ")} (apt-get) ...`);
  withoutServices(() => {
    apt("update");
    for (const set of sets.filter(({ length }) => length > 0)) install(...set);
    for (const name of newer) installNewer(name);
  });
  return findParts();
}

function findPostgres() {
  for (const major of preferredMajors) {
    const bin = path.join(installations, String(major), "bin");
    if (["initdb", "postgres"].every((name) => fs.existsSync(path.join(bin, name)))) {
      return { bin, major };
    }
  }
  return { missing: `PostgreSQL 15 to 18 in ${installations} (apt-get install postgresql)` };
}

function findPgbouncer() {
  for (const folder of ["/usr/sbin", ...(process.env.PATH ?? "").split(path.delimiter)]) {
    const file = path.join(folder, "pgbouncer");
    if (!fs.existsSync(file)) continue;
    const version = /\d+\.\d+/.exec(execFileSync(file, ["--version"], { encoding: "utf8" }));
    return { file, version: version === null ? "0.0" : version[0] };
  }
  return { missing: "PgBouncer (apt-get install pgbouncer)" };
}

/** Its jars are not fetched here but by whoever needs them first: they are 100 MB. */
function findRocketmq() {
  const pom = path.join(root, "dev", "services", "rocketmq.pom.xml");
  const content = createHash("sha256").update(fs.readFileSync(pom)).digest("hex").slice(0, 12);
  const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache");
  const jars = path.join(cache, "agent-runtime-state", `rocketmq-${content}`);
  const java = onPath("java");
  const maven = onPath("mvn");
  if (java !== undefined && (fs.existsSync(jars) || maven !== undefined)) {
    return { java, maven, pom, jars };
  }
  return { missing: "Java and Maven (apt-get install default-jre-headless maven)" };
}

function findBrowser() {
  const names = ["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"];
  const works = (file) => spawnSync(file, ["--version"], { timeout: 20_000 }).status === 0;
  const file = names.map(onPath).find((found) => found !== undefined && works(found));
  return file === undefined ? { missing: "Chromium (apt-get install chromium)" } : { file };
}

function findRedis() {
  const file = onPath("redis-server");
  if (file !== undefined) return { file };
  return { missing: "a Redis (apt-get install redis-server)" };
}

function findValkey() {
  const file = onPath("valkey-server");
  if (file !== undefined) return { file };
  return { missing: "a Valkey (apt-get install valkey-server, on Debian 12 from its backports)" };
}

function findLua() {
  const [lua51, lua54] = luaPackages.map(onPath); // Debian names the programs as their packages
  if (lua51 !== undefined && lua54 !== undefined) return { lua51, lua54 };
  return { missing: `Lua 5.1 and 5.4 (apt-get install ${luaPackages.join(" ")})` };
}

/** Containers are root's alone: for anybody else the programs are of no use. */
function findContainerd() {
  if (process.getuid?.() !== 0) return { missing: "containers, which only root may run" };
  const names = ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox"];
  const [daemon, shim, ctr, runc, busybox] = names.map(onPath);
  const found = { daemon, shim, ctr, runc, busybox };
  if (!Object.values(found).includes(undefined)) return found;
  return { missing: `a containerd (apt-get install ${containerPackages.join(" ")})` };
}

/** What a node of Kubernetes needs beside its containerd, and what makes an image for it. */
export function findNode() {
  const { missing } = findContainerd();
  if (missing !== undefined) return { missing };
  const programs = ["ip", "buildah", "debootstrap"].map(onPath);
  if (!programs.includes(undefined) && fs.existsSync(path.join(pluginsFolder, "ptp"))) {
    return { plugins: pluginsFolder };
  }
  return { missing: `a node's programs (apt-get install ${nodePackages.join(" ")})` };
}

/** Installs those, once the other parts are there. */
export function provideNode() {
  if (findNode().missing === undefined || !mayInstall()) return findNode();
  console.error(`installing ${nodePackages.join(", ")} (apt-get) ...`);
  withoutServices(() => install(...nodePackages));
  return findNode();
}

function onPath(name) {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  return folders.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
}

function mayInstall() {
  return process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0;
}

function install(...packages) {
  apt("install", "--yes", "--no-install-recommends", ...packages);
}

function installNewer(name) {
  const { status } = spawnSync("apt-cache", ["show", name], { stdio: "ignore" });
  if (status === 0) install(name);
  else installBackport(name);
}

/** Installs what came to Debian after this release did, from its backports; the system's own sources stay as they are. */
function installBackport(name) {
  const codename = /^VERSION_CODENAME=(.+)$/m.exec(fs.readFileSync("/etc/os-release", "utf8"))?.[1];
  const format = ["indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)"];
  const targets = execFileSync("apt-get", [...format, "Created-By: Packages"], {
    encoding: "utf8",
  });
  const archive = targets
    .split("\n")
    .map((line) => line.split(" "))
    .find(([, suite, component]) => suite === codename && component === "main");
  if (archive === undefined) return;
  const folder = fs.mkdtempSync(path.join(tmpdir(), "art-apt-"));
  const list = path.join(folder, "backports.list");
  const suite = `${codename}-backports`;
  try {
    fs.chmodSync(folder, 0o755); // apt reads as a user of its own
    fs.writeFileSync(list, `deb ${archive[0]} ${suite} main\n`);
    const source = ["-o", `Dir::Etc::SourceList=${list}`];
    const alone = ["-o", "Dir::Etc::SourceParts=-", "-o", "APT::Get::List-Cleanup=0"];
    apt("update", ...source, ...alone);
    install(...source, "--target-release", suite, name);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function apt(...args) {
  const { status, stdout, stderr } = spawnSync(
    "apt-get",
    ["--quiet", "-o", "DPkg::Lock::Timeout=120", ...args],
    {
      encoding: "utf8",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  if (status !== 0) console.error(`apt-get ${args[0]} failed:\n${stdout}${stderr}`);
}

/**
 * Runs `work` while packages may not start their services: Debian's would otherwise start a
 * PostgreSQL, a PgBouncer, a Redis and a containerd of the system, which nobody asked for.
 */
function withoutServices(work) {
  const before = fs.existsSync(policyFile);
  if (!before) fs.writeFileSync(policyFile, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    work();
  } finally {
    if (!before) fs.rmSync(policyFile);
  }
}
