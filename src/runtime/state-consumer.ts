import type { Config } from "../config/options.ts";
import { StateConsumer } from "../consumer/state-consumer.ts";
import type { StateConsumerOptions } from "../consumer/state-consumer.ts";
import type { Logger } from "../service/log-port.ts";
import { silentLog } from "../service/log.ts";
import { Tracing } from "../service/tracing.ts";
import type { MessageBus } from "../state/message-bus.ts";
import { RECEIVE } from "./messages.ts";
import { openRocketmqBus } from "./rocketmq.ts";

/** How a program consumes the changes that services send. */
export interface OpenConsumerOptions extends Omit<
  StateConsumerOptions,
  "consumer" | "invisibleMs" | "log" | "tracing"
> {
  /** The consumers of one group share the changes; each group gets all. */
  readonly group: string;
  /** A bus that is open already, such as a state manager's `bus`; it stays open. Unsaid: the RocketMQ of the settings. */
  readonly bus?: MessageBus;
  /** How long a change may be worked on before it has to be renewed, which is done; default 30,000. */
  readonly invisibleMs?: number;
  readonly log?: Logger;
}

/** A consumer that runs. */
export function startStateConsumer(config: Config, options: OpenConsumerOptions): StateConsumer {
  const {
    group,
    bus: given,
    log = silentLog,
    invisibleMs = RECEIVE.invisibleMs,
    ...rest
  } = options;
  const bus = given ?? openRocketmqBus(config, log);
  const place = { topic: config.rocketmq.stateTopic, group };
  const inner = bus.openConsumer({ ...RECEIVE, ...place, invisibleMs });
  const close = async (): Promise<void> => {
    await inner.close();
    if (given === undefined) await bus.close();
  };
  const consumer = new StateConsumer({
    ...rest,
    consumer: {
      receive: (signal) => inner.receive(signal),
      acknowledge: (message, signal) => inner.acknowledge(message, signal),
      renew: (message, ms, signal) => inner.renew(message, ms, signal),
      close,
    },
    tracing: new Tracing(config.telemetry.traces),
    invisibleMs,
    log,
  });
  consumer.start();
  return consumer;
}
