import type { Logger } from "../service/log-port.ts";
import { changeMessage, nameOfChange } from "../state/change-event.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { MessageProducer, OutgoingMessage } from "../state/message-bus.ts";
import type { ParkedStore } from "../state/parked-port.ts";
import type { Change } from "../state/state.ts";

export interface ChangeSenderOptions {
  readonly producer: MessageProducer;
  readonly parked: Pick<ParkedStore, "park">;
  readonly topic: string;
  /** A message that would be larger carries the digest and the version in place of the document. */
  readonly maxInlineBytes: number;
  readonly log: Logger;
}

/** What the bus made of a change: `reduced` went out without its document, `parked` not at all. */
export type ChangeFate = "sent" | "reduced" | "parked";

/** What a message itself is at fault for; everything else passes. */
const REFUSED = ["INVALID_REQUEST", "PAYLOAD_TOO_LARGE"];

/**
 * Sends a change. One that the bus will never take goes out without its document; where that is refused
 * as well it is parked with the reason, so that it holds back nothing that comes after it in its scope.
 */
export async function sendChange(
  change: Change,
  options: ChangeSenderOptions,
  signal: AbortSignal,
): Promise<ChangeFate> {
  const whole = await refusalOf(changeMessage(change, options), options.producer, signal);
  if (whole === undefined) return "sent";
  const small = changeMessage(change, { ...options, maxInlineBytes: 0 });
  const refused = await refusalOf(small, options.producer, signal);
  if (refused === undefined) return "reduced";
  await park(change, { refused, small }, options);
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
  change: Change,
  why: { readonly refused: AgentRuntimeError; readonly small: OutgoingMessage },
  { parked, log }: ChangeSenderOptions,
): Promise<void> {
  const { namespace } = change;
  const { topic, body, group = null } = why.small;
  const { code, message: detail } = why.refused;
  const messageId = nameOfChange(change);
  const isKept = await parked.park({ topic, messageId, namespace, group, code, detail, body });
  log.error(
    { topic, messageId, code, detail, isKept },
    isKept
      ? "the message bus will never take this change: it is parked"
      : "the message bus will never take this change, and there is no room to park it: read it in the state's history",
  );
}
