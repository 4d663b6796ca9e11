import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";

/** Addresses of a network that only this machine has. */
export interface NodeNetwork {
  /** This machine, as the node sees it. */
  readonly machine: string;
  readonly node: string;
  /** Of the node's pods; this machine reaches them, too. */
  readonly pods: string;
}

/**
 * Joins the network of a process to this machine's by two ends of a cable. All of it goes with that process's network.
 * The addresses are of the range for benchmarks (RFC 2544), which no real network has.
 */
export function joinNetwork(pid: number): NodeNetwork {
  const number = randomInt(256);
  const network = {
    machine: `198.18.${number}.1`,
    node: `198.18.${number}.2`,
    pods: `198.19.${number}.0/24`,
  };
  const { machine, node, pods } = network;
  const cable = `art${number}`;
  const inside = ["nsenter", "--target", String(pid), "--net"];
  run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", String(pid));
  run("ip", "address", "add", `${machine}/30`, "dev", cable);
  run("ip", "link", "set", cable, "up");
  run(...inside, "ip", "link", "set", "lo", "up");
  run(...inside, "ip", "address", "add", `${node}/30`, "dev", "eth0");
  run(...inside, "ip", "link", "set", "eth0", "up");
  run(...inside, "ip", "route", "add", "default", "via", machine);
  run("ip", "route", "add", pods, "via", node);
  return network;
}

/** As the plugins of the Container Network Interface read it: each pod has a cable of its own to the node. */
export function podsNetwork({ pods }: NodeNetwork, addresses: string): object {
  const ipam = {
    type: "host-local",
    dataDir: addresses,
    ranges: [[{ subnet: pods }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  return { cniVersion: "0.4.0", name: "pods", plugins: [{ type: "ptp", ipam }] };
}

function run(...[program, ...args]: readonly string[]): void {
  execFileSync(program!, args, { stdio: ["ignore", "ignore", "pipe"] });
}
