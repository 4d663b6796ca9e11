import type { Logger } from "../service/log-port.ts";
import { nameOfSent } from "../state/change-event.ts";
import type { ChangeEventOptions } from "../state/change-event.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { MessageProducer, OutgoingMessage } from "../state/message-bus.ts";
import type { ParkedStore } from "../state/parked-port.ts";

export interface SendOptions extends ChangeEventOptions {
  readonly producer: MessageProducer;
  readonly parked: Pick<ParkedStore, "park">;
  readonly log: Logger;
}

/** What is to be sent, as large as it may be. */
export interface Sending {
  readonly namespace: string;
  readonly write: (options: ChangeEventOptions) => OutgoingMessage;
}

/** What the bus made of it: `reduced` went out without its document, `parked` not at all. */
export type SendFate = "sent" | "reduced" | "parked";

/** What a message itself is at fault for; everything else passes. */
const REFUSED = ["INVALID_REQUEST", "PAYLOAD_TOO_LARGE"];

/**
 * Sends a message. One that the bus will never take goes out without its document; where that is refused
 * as well it is parked with the reason, so that it holds back nothing that comes after it in its scope.
 */
export async function sendOrPark(
  sending: Sending,
  options: SendOptions,
  signal: AbortSignal,
): Promise<SendFate> {
  const { topic, maxInlineBytes, producer } = options;
  const whole = sending.write({ topic, maxInlineBytes });
  if ((await refusalOf(whole, producer, signal)) === undefined) return "sent";
  const small = sending.write({ topic, maxInlineBytes: 0 });
  const refused = await refusalOf(small, producer, signal);
  if (refused === undefined) return "reduced";
  await park(small, { namespace: sending.namespace, refused }, options);
  return "parked";
}

/** Why the bus will never take it; undefined where it has. Rejects with what passes. */
async function refusalOf(
  message: OutgoingMessage,
  producer: MessageProducer,
  signal: AbortSignal,
): Promise<AgentRuntimeError | undefined> {
  try {
    await producer.send(message, signal);
    return undefined;
  } catch (error) {
    if (error instanceof AgentRuntimeError && REFUSED.includes(error.code)) return error;
    throw error;
  }
}

async function park(
  message: OutgoingMessage,
  why: { readonly namespace: string; readonly refused: AgentRuntimeError },
  { parked, log }: SendOptions,
): Promise<void> {
  const { topic, body, group = null } = message;
  const { namespace, refused } = why;
  const { code, message: detail } = refused;
  const messageId = nameOfSent(message);
  const isKept = await parked.park({ topic, messageId, namespace, group, code, detail, body });
  log.error(
    { topic, messageId, code, detail, isKept },
    isKept
      ? "the message bus will never take this message: it is parked"
      : "the message bus will never take this message, and there is no room to park it: read the state's history",
  );
}
