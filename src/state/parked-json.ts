import type { ParkedDetails } from "./parked-face.ts";
import type { ParkedMessage } from "./parked-port.ts";

/** As JSON.stringify takes it: 64-bit numbers as text. */
export function parkedJson(message: ParkedMessage | ParkedDetails): object {
  return { ...message, number: String(message.number) };
}
