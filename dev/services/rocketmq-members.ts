import { join } from "node:path";

export type MemberName = "namesrv" | "broker" | "proxy";

export type Settings = Readonly<Record<string, string | number | boolean>>;

/** Settings beside those that a member needs to run at all. */
export interface Overrides {
  readonly broker?: Settings;
  readonly proxy?: Settings;
}

export interface Ports {
  readonly namesrv: number;
  readonly broker: number;
  readonly brokerReplication: number;
  readonly proxy: number;
  readonly proxyRemoting: number;
}

/** How a member is started. */
export interface Member {
  readonly files: Readonly<Record<string, string>>;
  readonly javaArgs: readonly string[];
  readonly mainClass: string;
  readonly args: readonly string[];
  /** What it says once it serves. */
  readonly ready: RegExp;
}

interface Place {
  readonly folder: string;
  readonly ports: Ports;
  readonly overrides: Overrides;
}

const CLUSTER = "DefaultCluster";
const MIB = 1024 * 1024;

/** The three members of a RocketMQ in a folder; the proxy is one of its own, so that it can end alone. */
export function membersAt(place: Place): Readonly<Record<MemberName, Member>> {
  return { namesrv: namesrvAt(place), broker: brokerAt(place), proxy: proxyAt(place) };
}

function namesrvAt({ folder, ports }: Place): Member {
  const file = join(folder, "namesrv.conf");
  return {
    files: { [file]: propertiesOf({ listenPort: ports.namesrv, bindAddress: "127.0.0.1" }) },
    javaArgs: ["-Xmx64m"],
    mainClass: "org.apache.rocketmq.namesrv.NamesrvStartup",
    args: ["-c", file],
    ready: /The Name Server boot success/,
  };
}

function brokerAt({ folder, ports, overrides }: Place): Member {
  const file = join(folder, "broker.conf");
  const settings: Settings = {
    brokerClusterName: CLUSTER,
    brokerName: "broker-a",
    brokerId: 0,
    brokerRole: "ASYNC_MASTER",
    flushDiskType: "ASYNC_FLUSH", // kill -9 of the process loses nothing: the pages are the system's
    namesrvAddr: `127.0.0.1:${ports.namesrv}`,
    brokerIP1: "127.0.0.1",
    bindAddress: "127.0.0.1",
    listenPort: ports.broker,
    haListenPort: ports.brokerReplication,
    storePathRootDir: join(folder, "store"),
    autoCreateTopicEnable: false,
    autoCreateSubscriptionGroup: false,
    enableCompaction: false,
    mappedFileSizeCommitLog: 64 * MIB,
    mappedFileSizeConsumeQueue: 600_000,
    mappedFileSizeTimerLog: 10 * MIB,
    maxHashSlotNum: 100_000,
    maxIndexNum: 400_000,
    timerFlushIntervalMs: 60_000, // goes over all of the wheel: every second, that is a third of a core
    // A busy machine must not look like a broken one.
    osPageCacheBusyTimeOutMills: 30_000,
    waitTimeMillsInSendQueue: 30_000,
    waitTimeMillsInPullQueue: 30_000,
    waitTimeMillsInAckQueue: 30_000,
    ...overrides.broker,
  };
  return {
    files: { [file]: propertiesOf(settings) },
    javaArgs: ["-Xmx256m", "-XX:MaxDirectMemorySize=256m"],
    mainClass: "org.apache.rocketmq.broker.BrokerStartup",
    args: ["-c", file],
    ready: /boot success/,
  };
}

function proxyAt({ folder, ports, overrides }: Place): Member {
  const file = join(folder, "proxy.json");
  const settings: Settings = {
    rocketMQClusterName: CLUSTER,
    proxyName: "proxy-a",
    namesrvAddr: `127.0.0.1:${ports.namesrv}`,
    localServeAddr: "127.0.0.1",
    grpcServerPort: ports.proxy,
    remotingListenPort: ports.proxyRemoting,
    useEndpointPortFromRequest: true, // who comes another way, through a tunnel or a test's proxy, is told to go on that way
    // Shorter than 5 s and 10 s, so that a test need not wait that long.
    grpcClientConsumerMinLongPollingTimeoutMillis: 100,
    minInvisibleTimeMillsForRecv: 1_000,
    ...overrides.proxy,
  };
  return {
    files: { [file]: JSON.stringify(settings) },
    javaArgs: ["-Xmx256m", "-XX:MaxDirectMemorySize=128m"],
    mainClass: "org.apache.rocketmq.proxy.ProxyStartup",
    args: ["-pm", "cluster", "-n", `127.0.0.1:${ports.namesrv}`, "-pc", file],
    ready: /rocketmq-proxy startup successfully/,
  };
}

function propertiesOf(settings: Settings): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return `${lines.join("\n")}\n`;
}
