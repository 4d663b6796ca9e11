import { setTimeout as sleep } from "node:timers/promises";
import { startContainerd } from "../../dev/services/containerd.ts";
import type { OwnContainerd } from "../../dev/services/containerd.ts";
import { Program } from "../../dev/services/program.ts";
import { startRocketmq } from "../../dev/services/rocketmq.ts";
import { findParts } from "../../dev/services/tools.ts";
import { CannotRun } from "../bench.ts";
import type { Bench } from "../bench.ts";
import { launcher, startService } from "./service.ts";

const POLL_MS = 20;

/** A containerd, and all that its events go through until they are state. */
export interface CaptorChain {
  readonly containerd: OwnContainerd;
  /** Of the service. */
  readonly url: string;
}

/** Starts containerd, RocketMQ, the service on the run's PostgreSQL, and the captor; each is a process of its own. */
export async function startCaptorChain(bench: Bench): Promise<CaptorChain> {
  const containerd = await containerdOf(bench);
  const main = (await bench.postgres()).url(await bench.newDatabase());
  const env = { SUPABASE_DB_URL: main, ...(await brokerOf(bench)) };
  const cwd = bench.workshop.folder;
  await Program.start(launcher(), { args: ["state", "topics", "create"], cwd, env }).output();
  const { url } = await startService(bench, { env });
  const where = ["--captor-containerd", containerd.socket, "--captor-listen", "127.0.0.1:0"];
  const spool = ["--spool", bench.workshop.newFolder("captor-spool")];
  const captor = Program.start(launcher(), {
    args: ["captor", "--to", "rocketmq", ...where, ...spool],
    cwd,
    env,
  });
  bench.workshop.keep(captor);
  const [status] = await captor.says(/http:\/\/[^\s/]+:\d+/);
  while (!(await fetch(`${status}/readyz`)).ok) await sleep(POLL_MS);
  return { containerd, url };
}

async function containerdOf({ workshop }: Bench): Promise<OwnContainerd> {
  const { containerd: tools } = findParts();
  if (tools.missing !== undefined) throw new CannotRun(`missing: ${tools.missing}`);
  const containerd = await startContainerd(tools).catch((error: unknown) => {
    const [why] = String(error).split("\n").slice(-2);
    throw new CannotRun(`this machine lets no containers be run (${why})`);
  });
  workshop.atEnd(() => containerd.stop());
  return containerd;
}

async function brokerOf({ workshop }: Bench): Promise<Record<string, string>> {
  const { rocketmq: tools } = findParts();
  if (tools.missing !== undefined) throw new CannotRun(`missing: ${tools.missing}`);
  const rocketmq = await startRocketmq({ tools });
  workshop.atEnd(() => rocketmq.stop());
  return {
    AGENT_RUNTIME_MESSAGES: "rocketmq",
    ROCKETMQ_ENDPOINTS: rocketmq.address.endpoint,
    ROCKETMQ_NAMESERVER_ADDRS: rocketmq.address.nameserver,
  };
}
