import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { RocketmqTools } from "../../scripts/parts.d.mts";
import { RocketmqAdmin } from "../../src/rocketmq/admin/admin.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import { freePort } from "./free-port.ts";
import { Guard } from "./guard.ts";
import { Program } from "./program.ts";
import { membersAt } from "./rocketmq-members.ts";
import type { Member, MemberName, Overrides, Ports } from "./rocketmq-members.ts";

export interface RocketmqOptions {
  readonly tools: RocketmqTools;
  /** Where messages live and stay; unsaid: a temporary folder that goes. */
  readonly folder?: string;
  /** Settings of the members beside what is needed to run on one machine. */
  readonly overrides?: Overrides;
}

/** Where clients find it. */
export interface RocketmqAddress {
  /** Of the name server; tools that prepare topics ask there. */
  readonly nameserver: string;
  /** Of the proxy; producers and consumers speak gRPC with it. */
  readonly endpoint: string;
}

const START_ORDER: readonly MemberName[] = ["namesrv", "broker", "proxy"];

/** A broker registers when it starts, and again every 30 s. */
const REGISTERED_MS = 90_000;

/**
 * Starts a name server, a broker and a proxy, each in a small JVM on free ports of this machine.
 *
 * They end with this process, however it ends. Where one does not start, all end, and the error has
 * its last words.
 */
export async function startRocketmq(options: RocketmqOptions): Promise<Rocketmq> {
  await fetchJars(options.tools);
  const isKept = options.folder !== undefined;
  const folder = isKept ? resolve(options.folder) : await mkdtemp(join(tmpdir(), "art-rocketmq-"));
  const guard = new Guard(isKept ? undefined : folder, "KILL");
  const rocketmq = new Rocketmq(folder, options, { guard, ports: await freePorts() });
  try {
    for (const name of START_ORDER) await rocketmq.start(name);
    return rocketmq;
  } catch (error) {
    await rocketmq.stop();
    throw error;
  }
}

/** A RocketMQ that runs, and what may happen to its members. */
export class Rocketmq {
  readonly address: RocketmqAddress;
  readonly folder: string;
  readonly #options: RocketmqOptions;
  readonly #guard: Guard;
  readonly #members: Readonly<Record<MemberName, Member>>;
  readonly #running = new Map<MemberName, Program>();

  constructor(
    folder: string,
    options: RocketmqOptions,
    place: { readonly guard: Guard; readonly ports: Ports },
  ) {
    this.folder = folder;
    this.#options = options;
    this.#guard = place.guard;
    this.#members = membersAt({ folder, ...place, overrides: options.overrides ?? {} });
    this.address = {
      nameserver: `127.0.0.1:${place.ports.namesrv}`,
      endpoint: `127.0.0.1:${place.ports.proxy}`,
    };
  }

  /** Starts a member that does not run, where it was before; resolves when it serves. */
  async start(name: MemberName): Promise<void> {
    const { files, javaArgs, mainClass, args, ready } = this.#members[name];
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    for (const [file, text] of Object.entries(files)) await writeFile(file, text, { mode: 0o600 });
    const { java, jars } = this.#options.tools;
    const logging = join(packageRoot(), "dev", "services", "rocketmq.logback.xml");
    const program = Program.start(java, {
      args: [
        ...SMALL_JVM,
        `-Drmq.logback.configurationFile=${logging}`,
        `-Drocketmq.home.dir=${this.folder}`,
        `-Duser.home=${this.folder}`,
        `-Djava.io.tmpdir=${this.folder}`,
        ...javaArgs,
        "-cp",
        `${jars}/*`,
        mainClass,
        ...args,
      ],
      cwd: this.folder,
      detached: true,
      name: `RocketMQ's ${name}`,
    });
    this.#guard.watch(program.child);
    this.#running.set(name, program);
    await program.says(ready);
    if (name === "broker") await this.#registered();
  }

  /** A proxy that starts before the name server knows of the broker ends at once. */
  async #registered(): Promise<void> {
    const { nameserver } = this.address;
    const admin = new RocketmqAdmin({ nameservers: [nameserver], timeoutMs: REGISTERED_MS });
    const deadline = performance.now() + REGISTERED_MS;
    while ((await admin.brokers()).length === 0) {
      if (performance.now() > deadline) throw new Error("RocketMQ's broker does not register");
      await pause(100);
    }
  }

  /** Ends a member as a crash does. */
  async kill(name: MemberName): Promise<void> {
    const program = this.#programOf(name);
    program.child.kill("SIGKILL");
    await program.ended;
  }

  /** Makes a member stand still: its connections stay, nothing answers. */
  freeze(name: MemberName): void {
    this.#programOf(name).child.kill("SIGSTOP");
  }

  thaw(name: MemberName): void {
    this.#programOf(name).child.kill("SIGCONT");
  }

  /** Ends all: in order where the messages stay, else at once. */
  async stop(): Promise<void> {
    if (this.#options.folder !== undefined) {
      for (const name of START_ORDER.toReversed()) await this.#running.get(name)?.stop();
    }
    await this.#guard.release();
  }

  #programOf(name: MemberName): Program {
    const program = this.#running.get(name);
    if (program === undefined) throw new Error(`RocketMQ's ${name} was never started`);
    return program;
  }
}

/** Starts in a third of the time that a JVM made to run for months takes. */
const SMALL_JVM = [
  "-XX:+UseSerialGC",
  "-XX:-UsePerfData", // a file in the machine's temporary folder
  "-XX:TieredStopAtLevel=1",
  "-XX:+UnlockDiagnosticVMOptions",
  "-XX:-BytecodeVerificationRemote",
  "-XX:+IgnoreUnrecognizedVMOptions",
  "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
  "--add-opens=java.base/java.nio=ALL-UNNAMED",
  "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
];

/** Fetches what is not there yet; any number may do so at once. */
async function fetchJars({ maven, pom, jars }: RocketmqTools): Promise<void> {
  if (existsSync(jars)) return;
  if (maven === undefined) throw new Error("no Maven on the PATH: apt-get install maven");
  await mkdir(dirname(jars), { recursive: true });
  const draft = await mkdtemp(`${jars}.`);
  try {
    const args = ["-q", "-B", "-Dmaven.artifact.threads=10", "-f", pom];
    const goal = ["dependency:copy-dependencies", `-DoutputDirectory=${draft}`];
    await Program.start(maven, { args: [...args, ...goal], name: "Maven" }).output();
    await rename(draft, jars).catch((error: unknown) => {
      if (!existsSync(jars)) throw error; // else another was faster
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function freePorts(): Promise<Ports> {
  const taken = new Set<number>();
  const next = async (): Promise<number> => {
    const port = await freePort();
    // A broker also takes the port two below its own.
    if ([port - 2, port, port + 2].some((near) => taken.has(near))) return await next();
    taken.add(port);
    return port;
  };
  return {
    namesrv: await next(),
    broker: await next(),
    brokerReplication: await next(),
    proxy: await next(),
    proxyRemoting: await next(),
  };
}
