import type { Config } from "../config/options.ts";
import { busSink } from "../lifecycle/bus-sink.ts";
import type { Logger } from "../service/log-port.ts";
import type { FactSink } from "../state/fact-sink.ts";
import { openRocketmqBus } from "./rocketmq.ts";

/** Tells facts to the RocketMQ of a configuration, past any service. */
export function openRocketmqFacts(
  config: Config,
  { namespace, log }: { readonly namespace: string; readonly log: Logger },
): { readonly sink: FactSink; readonly close: () => Promise<void> } {
  const bus = openRocketmqBus(config, log);
  const sink = busSink(bus.producer, { topic: config.rocketmq.lifecycleTopic, namespace });
  return { sink, close: () => bus.close() };
}
