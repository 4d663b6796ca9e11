import { InProcessBus } from "../bus/in-process-bus.ts";
import type { Config } from "../config/options.ts";
import { Intake } from "../intake/intake.ts";
import type { StateManager } from "../manager/state-manager.ts";
import { Relay } from "../relay/relay.ts";
import { lifecycleGroup, openRocketmqBus } from "./rocketmq.ts";
import type { Logger } from "../service/log-port.ts";
import { exposeMessages } from "../service/message-metrics.ts";
import type { Metrics } from "../service/metrics.ts";
import { definedOnly } from "../state/defined.ts";
import type { JsonObject } from "../state/json.ts";
import type { MessageBus } from "../state/message-bus.ts";
import type { StateStore } from "../state/ports.ts";

/** How long a receive waits, how long what it got belongs to it, and how much it may get. */
export const RECEIVE = { awaitMs: 10_000, invisibleMs: 30_000, batchSize: 16 };

/** The bus of a configuration; null where it has none. */
export function openBus(config: Config, log: Logger): MessageBus | null {
  if (config.messages === "none") return null;
  return config.messages === "rocketmq" ? openRocketmqBus(config, log) : new InProcessBus();
}

/** What carries changes out and updates in. */
export interface Messages {
  readonly relay: Relay;
  readonly intake: Intake;
  /** Takes lifecycle facts in. */
  readonly factIntake: Intake;
  /** Stops both; the bus stays. */
  stop(): Promise<void>;
}

/** The relay and the intake of a service, on its bus; both run. */
export function startMessages(
  config: Config,
  bus: MessageBus,
  parts: {
    readonly manager: StateManager;
    readonly store: StateStore;
    readonly log: Logger;
    readonly metrics: Metrics;
  },
): Messages {
  const { manager, store, log, metrics } = parts;
  const { rocketmq, feed } = config;
  const relay = new Relay({
    relay: store.relay,
    feed: store.feed,
    readChange: (row) => manager.readChange(row),
    producer: bus.producer,
    parked: store.parked,
    topic: rocketmq.stateTopic,
    taskTopic: rocketmq.taskTopic,
    maxInlineBytes: rocketmq.maxInlineBytes,
    concurrency: rocketmq.sendConcurrency,
    pollMs: feed.pollMs,
    isBusy: () => manager.isBusy,
    share: rocketmq.sharePercent / 100,
    log,
  });
  const topic = { topic: rocketmq.updatesTopic, group: rocketmq.consumerGroup };
  const intake = new Intake({
    consumer: bus.openConsumer({ ...topic, ...RECEIVE }),
    parked: store.parked,
    kind: manager.messageKinds.updates,
    invisibleMs: RECEIVE.invisibleMs,
    log,
  });
  const facts = { topic: rocketmq.lifecycleTopic, group: lifecycleGroup(rocketmq) };
  const factIntake = new Intake({
    consumer: bus.openConsumer({ ...facts, ...RECEIVE, batchSize: 32 }),
    parked: store.parked,
    kind: manager.messageKinds.facts,
    invisibleMs: RECEIVE.invisibleMs,
    log,
  });
  exposeMessages(metrics, { relay: () => relay.figures, intake: () => intake.figures });
  relay.start();
  intake.start();
  factIntake.start();
  return {
    relay,
    intake,
    factIntake,
    stop: async () => {
      await Promise.all([intake.stop(), factIntake.stop(), relay.stop()]);
    },
  };
}

/** What `/v1/info` says of it. */
export function messagesInfo(messages: Messages | null, config: Config): JsonObject {
  if (messages === null)
    return { health: "off", reason: "there is no message bus: `messages` is none" };
  const { relay, intake, factIntake } = messages;
  const away = [relay, intake, factIntake]
    .map(({ figures }) => figures)
    .find(({ health }) => health === "unavailable");
  return {
    runsOn: config.messages === "in-process" ? "this process" : config.messages,
    health: away === undefined ? relay.figures.health : "unavailable",
    ...definedOnly({ reason: away?.reason }),
    relay: { ...relay.figures },
    intake: { ...intake.figures },
    lifecycle: { ...factIntake.figures },
  };
}
