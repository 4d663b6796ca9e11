/** The messages of the protocol as TypeScript sees them; `messages.ts` has their numbers. */

export interface Status {
  readonly code: number;
  readonly message: string;
}

export interface Duration {
  readonly seconds: number;
  readonly nanos: number;
}

export interface Resource {
  readonly resourceNamespace?: string;
  readonly name: string;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Endpoints {
  readonly scheme: number;
  readonly addresses: readonly Address[];
}

export interface MessageQueue {
  readonly topic: Resource;
  readonly id: number;
  readonly permission: number;
  readonly broker: { readonly name: string; readonly id: number; readonly endpoints: Endpoints };
  readonly acceptMessageTypes: readonly number[];
}

export interface SystemProperties {
  readonly tag?: string;
  readonly keys: readonly string[];
  readonly messageId: string;
  readonly bodyEncoding: number;
  readonly messageType: number;
  readonly bornTimestamp?: Duration;
  readonly bornHost?: string;
  readonly receiptHandle?: string;
  readonly queueId?: number;
  readonly deliveryAttempt?: number;
  readonly messageGroup?: string;
}

export interface WireMessage {
  readonly topic: Resource;
  readonly userProperties: Readonly<Record<string, string>>;
  readonly systemProperties: SystemProperties;
  readonly body: Uint8Array;
}

export const MESSAGE_TYPE = { normal: 1, fifo: 2 } as const;
export const CLIENT_TYPE = { producer: 1, simpleConsumer: 3 } as const;
export const ENCODING = { identity: 1, gzip: 2 } as const;
export const FILTER_BY_TAG = 1;
/** READ and READ_WRITE; WRITE and READ_WRITE. */
export const READABLE: readonly number[] = [2, 4];
export const WRITABLE: readonly number[] = [3, 4];

export function durationOf(ms: number): Duration {
  return { seconds: Math.floor(ms / 1000), nanos: Math.floor((ms % 1000) * 1e6) };
}
