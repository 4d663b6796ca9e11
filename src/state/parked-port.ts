import type { ErrorCode } from "./errors.ts";

/** A message that can never be applied as it is: kept until somebody sends it again or discards it. */
export interface ParkedMessage {
  readonly number: bigint;
  readonly topic: string;
  /** What names it: of the event where it has one, else of the broker. */
  readonly messageId: string;
  readonly namespace: string;
  readonly group: string | null;
  /** Why: the code and the sentence that a caller would have been told. */
  readonly code: string;
  readonly detail: string;
  readonly attempts: number;
  readonly bytes: number;
  readonly parkedAt: Date;
  readonly triedAt: Date;
}

export interface ParkOrder {
  readonly topic: string;
  readonly messageId: string;
  readonly namespace: string;
  readonly group: string | null;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly body: Uint8Array;
}

export interface ParkedFigures {
  readonly messages: number;
  readonly bytes: number;
}

/** What may be kept of messages that could not be applied. */
export const PARKED_LIMITS = { messages: 10_000, bytes: 256 * 1024 * 1024 };

/** The messages that could not be applied. */
export interface ParkedStore {
  /** False: there is no room for it. The same message again counts an attempt. */
  park(order: ParkOrder): Promise<boolean>;
  /** The oldest first; a namespace of null: of all. */
  list(
    namespace: string | null,
    page: { readonly after: bigint; readonly limit: number },
  ): Promise<ParkedMessage[]>;
  /** One of them with its body; null where it is not there. */
  read(
    namespace: string | null,
    number: bigint,
  ): Promise<{ readonly message: ParkedMessage; readonly body: Uint8Array } | null>;
  /** Forgets it. False: it was not there. */
  drop(namespace: string | null, number: bigint): Promise<boolean>;
  figures(): Promise<ParkedFigures>;
}
