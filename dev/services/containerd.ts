import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rmdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { ContainerdTools } from "../../scripts/parts.d.mts";
import { Guard } from "./guard.ts";
import { joinNetwork, podsNetwork } from "./node-network.ts";
import type { NodeNetwork } from "./node-network.ts";
import { ociImage } from "./oci-image.ts";
import { Program } from "./program.ts";

/** The image of pods' containers, and the one of their sandboxes. */
export const IMAGE = "localhost/busybox:local";
const SANDBOX_IMAGE = "localhost/pause:local";

/** The namespace that Kubernetes' pods have in it. */
const NAMESPACE = "k8s.io";

/**
 * Starts a containerd of our own. A runtime called `kata` is what runc's shim does under the name of Kata's:
 * the bus, the names and the order of events are real, the guest machine is not there.
 *
 * It, its shims and all containers are in a process and mount namespace of their own. That ends with this
 * process, however that ends, and everything in it goes at once.
 */
export async function startContainerd(
  tools: ContainerdTools,
  { plugins }: NodeOptions = {},
): Promise<OwnContainerd> {
  const folder = await mkdtemp(join(tmpdir(), "art-containerd-"));
  const guard = new Guard(folder, "KILL");
  try {
    const holder = Program.start("unshare", {
      args: holderArguments(plugins !== undefined),
      detached: true,
      name: "unshare",
    });
    guard.watch(holder.child);
    await holder.says(/ready/);
    const network = plugins === undefined ? undefined : joinNetwork(childOf(holder.pid));
    const own = new OwnContainerd(folder, { tools, guard, holder, network, plugins });
    await own.prepare();
    await own.start();
    await own.loadImages();
    return own;
  } catch (error) {
    await guard.release();
    throw error;
  }
}

/** Of what keeps the namespaces; a whole node has a network, and folders of the machine, of its own. */
function holderArguments(isNode: boolean): readonly string[] {
  const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const stay = "echo ready; while sleep 0.2; do :; done";
  if (!isNode) return [...namespaces, "sh", "-c", stay];
  return [...namespaces, "--net", "sh", "-e", "-c", KEEP_MACHINE + stay];
}

/** What else a whole node needs. */
export interface NodeOptions {
  /** The folder of the programs that give pods an address (CNI). With it the node has a network of its own. */
  readonly plugins?: string;
}

interface Place {
  readonly tools: ContainerdTools;
  readonly guard: Guard;
  readonly holder: Program;
  readonly network?: NodeNetwork | undefined;
  readonly plugins?: string | undefined;
}

/** A kubelet writes these settings and folders, which are the whole machine's: it gets copies, and folders of its own. */
const KEEP_MACHINE = `
  mkdir -p /run/netns
  for folder in /var/lib /var/log /run/netns; do mount -t tmpfs own $folder; done
  for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    copy=/var/log/$(basename $name)
    cat /proc/sys/$name >$copy
    mount --bind $copy /proc/sys/$name
  done
`;

/** A containerd that runs, and what may happen to it. */
export class OwnContainerd {
  readonly socket: string;
  /** Below which its containers' limits are kept. */
  readonly cgroup = `/art-${randomBytes(6).toString("hex")}`;
  readonly #folder: string;
  readonly #place: Place;
  #program: Program | undefined;

  constructor(folder: string, place: Place) {
    this.#folder = folder;
    this.#place = place;
    this.socket = join(folder, "c.sock");
  }

  /** What it needs on disk. */
  async prepare(): Promise<void> {
    const bin = join(this.#folder, "bin");
    await mkdir(bin);
    // The runtime `io.containerd.kata.v2` is the program of this name.
    await symlink(this.#place.tools.shim, join(bin, "containerd-shim-kata-v2"));
    await writeFile(this.#configFile, this.#config());
    const { network } = this.#place;
    await mkdir(join(this.#folder, "cni"));
    if (network !== undefined) {
      const given = podsNetwork(network, join(this.#folder, "addresses"));
      await writeFile(join(this.#folder, "cni", "pods.conflist"), JSON.stringify(given));
    }
  }

  /** The addresses of a whole node. */
  get network(): NodeNetwork {
    const { network } = this.#place;
    if (network === undefined) throw new Error("this containerd has the network of the machine");
    return network;
  }

  /** Starts it where it was before; its containers have gone on. Resolves when it serves pods. */
  async start(): Promise<void> {
    const { daemon } = this.#place.tools;
    const program = this.run([daemon, "--config", this.#configFile], "containerd");
    this.#program = program;
    await program.says(/containerd successfully booted/);
  }

  /** Ends it as a crash does; containers go on. */
  async kill(): Promise<void> {
    await this.signal(["--config", this.#configFile], "SIGKILL");
    await this.#program?.ended;
  }

  /** Ends the shim of a sandbox, as the crash of its virtual machine would. */
  async killShim(sandboxId: string): Promise<void> {
    await this.signal(["-id", sandboxId], "SIGKILL");
  }

  async loadImages(): Promise<void> {
    const busybox = readFileSync(this.#place.tools.busybox);
    const images = [
      { name: IMAGE, entrypoint: ["/bin/sh"] },
      { name: SANDBOX_IMAGE, entrypoint: ["/bin/sleep", "1000000"] },
    ];
    for (const image of images) {
      const file = join(this.#folder, "image.tar");
      await writeFile(file, ociImage({ ...image, busybox }));
      await this.loadImage(file);
    }
  }

  /** @param file an archive as `docker save` or `podman save` write it. */
  async loadImage(file: string): Promise<void> {
    await this.ctr("image", "import", "--snapshotter", "native", file);
  }

  /** Sends a signal to what runs in there with these words, one after the other, in its command line. */
  async signal(words: readonly string[], name: NodeJS.Signals): Promise<void> {
    const pids = await this.#pidsOf(words);
    if (pids.length === 0) throw new Error(`nothing runs with ${words.join(" ")}`);
    for (const pid of pids) kill(pid, name);
  }

  /** What its own command says. */
  async ctr(...args: readonly string[]): Promise<string> {
    const { ctr } = this.#place.tools;
    const line = [ctr, "--address", this.socket, "--namespace", NAMESPACE, ...args] as const;
    return await this.run([...line], "ctr").output();
  }

  async stop(): Promise<void> {
    await this.#place.guard.release();
    await removeGroups(this.cgroup);
  }

  get #configFile(): string {
    return join(this.#folder, "config.toml");
  }

  /** Starts a program beside it, with what it sees of files, processes and networks. */
  run([file, ...args]: readonly string[], name: string): Program {
    const { holder, tools } = this.#place;
    const inner = childOf(holder.pid);
    const path = [join(this.#folder, "bin"), dirname(tools.runc), process.env["PATH"]];
    const program = Program.start("nsenter", {
      args: ["--target", String(inner), "--mount", "--pid", "--net", file!, ...args],
      env: { PATH: path.join(delimiter) },
      detached: true,
      name,
    });
    this.#place.guard.watch(program.child);
    return program;
  }

  /** As this machine numbers them: processes in there whose command line has these words one after the other. */
  async #pidsOf(words: readonly string[]): Promise<number[]> {
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(
      pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
    );
    const isThat = (line: string): boolean =>
      line.includes(words.join("\u0000")) && !line.startsWith("nsenter");
    return pids.filter((_, at) => isThat(lines[at]!)).map(Number);
  }

  #config(): string {
    const [folder, cri] = [this.#folder, 'plugins."io.containerd.grpc.v1.cri"'];
    return `
version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${this.socket}"
[ttrpc]
  address = "${this.socket}.ttrpc"
[${cri}]
  sandbox_image = "${SANDBOX_IMAGE}"
  restrict_oom_score_adj = true # else a root without CAP_SYS_RESOURCE can start no pod
  stream_server_address = "127.0.0.1"
  [${cri}.cni]
    conf_dir = "${folder}/cni"
    bin_dir = "${this.#place.plugins ?? ""}"
  [${cri}.containerd]
    snapshotter = "native"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [${cri}.containerd.runtimes.kata]
      runtime_type = "io.containerd.kata.v2"
`;
  }
}

function childOf(pid: number): number {
  const [child = ""] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  if (child === "") throw new Error("the namespace of containerd is gone");
  return Number(child);
}

function kill(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}

/** Empty ones are left behind in each hierarchy. */
async function removeGroups(name: string): Promise<void> {
  const hierarchies = await readdir("/sys/fs/cgroup", { withFileTypes: true }).catch(() => []);
  const roots = ["", ...hierarchies.filter((each) => each.isDirectory()).map((each) => each.name)];
  for (const root of roots) await removeGroup(join("/sys/fs/cgroup", root, name));
}

async function removeGroup(path: string): Promise<void> {
  const below = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const each of below) if (each.isDirectory()) await removeGroup(join(path, each.name));
  // It may hold a process for a moment longer: then it stays, empty.
  await rmdir(path).catch(() => undefined);
}
