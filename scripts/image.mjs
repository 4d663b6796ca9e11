// The image of deploy/Containerfile as an archive, for nodes of the tests: built as anybody builds it, but on a base of
// Debian's and this machine's Node, where no registry is to be had. Archives are kept outside the checkout, and made
// again when what goes into them has changed.
//
//   node scripts/image.mjs          builds it, and says where it is
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { homedir, tmpdir } from "node:os";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./setup.mjs";

const release = "bookworm"; // that of the Containerfile's own base
/** What the archive calls it. */
const name = "localhost/agent-runtime-state:local";
const cache = path.join(
  process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache"),
  "agent-runtime-state",
);

/** Builds the archive, or finds the one that was built of the same. Needs root, buildah and debootstrap. */
export function provideImage() {
  const folder = path.join(cache, "images");
  const file = path.join(folder, `program-${contentOf(inputs())}.tar`);
  if (fs.existsSync(file)) return { name, file };
  fs.mkdirSync(folder, { recursive: true });
  const former = fs.readdirSync(folder).filter((each) => each.startsWith("program-"));
  withStore((store) => buildProgram(store, file));
  for (const each of former) fs.rmSync(path.join(folder, each)); // 140 MB
  return { name, file };
}

function buildProgram(store, file) {
  const began = performance.now();
  console.error("building the image of deploy/Containerfile (buildah) ...");
  const base = path.join(cache, "images", `base-${contentOf([process.execPath])}.tar`);
  if (!fs.existsSync(base)) buildBase(store, base);
  const id = store.buildah("pull", "--quiet", `oci-archive:${base}`).trim();
  store.buildah("tag", id, "docker.io/library/node:local");
  const how = ["--quiet", "--isolation", "chroot", "--network", "host", "--pull-never"];
  const from = ["--build-arg", "NODE=local", "--file", path.join(root, "deploy", "Containerfile")];
  store.buildah("bud", ...how, ...from, "--tag", name, root);
  store.archive(name, file);
  console.error(`built it in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

/** Debian, this machine's Node with its npm, and the authorities that this machine trusts: what is fetched comes their way. */
function buildBase(store, file) {
  const folder = path.join(store.folder, "base");
  run("debootstrap", ["--variant=minbase", release, folder]);
  const local = path.join(folder, "usr", "local");
  fs.copyFileSync(process.execPath, path.join(local, "bin", "node"));
  const npm = npmFolder();
  fs.cpSync(npm, path.join(local, "lib", "node_modules", "npm"), { recursive: true });
  fs.symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", path.join(local, "bin", "npm"));
  const trusted = "etc/ssl/certs/ca-certificates.crt";
  fs.mkdirSync(path.dirname(path.join(folder, trusted)), { recursive: true });
  fs.copyFileSync(`/${trusted}`, path.join(folder, trusted));
  const container = store.buildah("from", "scratch").trim();
  store.buildah("copy", "--quiet", container, folder, "/");
  const programs = ["/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].join(":");
  const variables = [`PATH=${programs}`, `NODE_EXTRA_CA_CERTS=/${trusted}`];
  store.buildah("config", ...variables.flatMap((each) => ["--env", each]), container);
  store.buildah("commit", "--quiet", container, "localhost/node:base");
  store.archive("localhost/node:base", file);
}

function npmFolder() {
  const npm = fs.realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim());
  return path.dirname(path.dirname(npm));
}

/** Runs `work` with a store of images that is gone afterwards. */
function withStore(work) {
  const folder = fs.mkdtempSync(path.join(tmpdir(), "art-images-"));
  const at = ["--root", path.join(folder, "root"), "--runroot", path.join(folder, "run")];
  const buildah = (command, ...args) =>
    run("buildah", [...at, "--storage-driver", "vfs", command, ...args]);
  const archive = (image, file) => {
    const fresh = `${file}.${process.pid}`;
    buildah("push", "--quiet", image, `oci-archive:${fresh}:${image}`);
    fs.renameSync(fresh, file);
  };
  try {
    work({ folder, buildah, archive });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** All files that the Containerfile copies, and itself. */
function inputs() {
  const containerfile = path.join(root, "deploy", "Containerfile");
  const copied = fs.readFileSync(containerfile, "utf8").matchAll(/^COPY (?!--)(.+) \S+$/gm);
  return [containerfile, ...[...copied].flatMap(([, names]) => names.split(" ")).flatMap(below)];
}

function below(entry) {
  const at = path.join(root, entry);
  if (!fs.statSync(at).isDirectory()) return [at];
  const all = fs.readdirSync(at, { recursive: true, withFileTypes: true });
  return all.filter((each) => each.isFile()).map((each) => path.join(each.parentPath, each.name));
}

function contentOf(files) {
  const hash = createHash("sha256");
  for (const file of files.toSorted()) {
    hash
      .update(`${path.relative(root, file)}\0`)
      .update(fs.readFileSync(file))
      .update("\0");
  }
  return hash.digest("hex").slice(0, 12);
}

function run(program, args) {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(provideImage().file);
}
