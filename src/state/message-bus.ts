/** A message on its way out. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly body: Uint8Array;
  /** Messages of one group are delivered in the order in which they were sent; unsaid: in no order. */
  readonly group?: string;
  readonly tag?: string;
  /** By which people find it at the broker. */
  readonly keys?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
}

/** A message that came, and whose it is until it is acknowledged or its time has run out. */
export interface IncomingMessage {
  readonly topic: string;
  /** Of the broker; the same at every delivery. */
  readonly messageId: string;
  readonly body: Uint8Array;
  readonly group: string | undefined;
  readonly tag: string | undefined;
  readonly keys: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
  /** 1 at the first delivery. */
  readonly attempt: number;
}

/**
 * Sends messages. Who needs their order sends the next of a group after the one before was sent.
 */
export interface MessageProducer {
  /**
   * Resolves when the bus has the message and will not lose it.
   *
   * @throws {AgentRuntimeError} UNAVAILABLE: it may have been sent all the same, so send it again;
   *   anything else: it never can be.
   */
  send(message: OutgoingMessage, signal?: AbortSignal): Promise<void>;
  /** What is being sent fails. Never rejects. */
  close(): Promise<void>;
}

/** Receives the messages of one topic for one group of consumers, which share them. */
export interface MessageConsumer<Message extends IncomingMessage = IncomingMessage> {
  /**
   * The next messages; none where none came while it waited. Of a group of messages, the next one comes
   * after those before it were acknowledged. Canceled it rejects, or hands over what had come by then.
   */
  receive(signal?: AbortSignal): Promise<readonly Message[]>;
  /** It is done with: it never comes again. */
  acknowledge(message: Message, signal?: AbortSignal): Promise<void>;
  /** It belongs to its receiver for so long from now on; after that it comes again. */
  renew(message: Message, invisibleMs: number, signal?: AbortSignal): Promise<void>;
  /** Ends what waits. What was received and not acknowledged comes again. Never rejects. */
  close(): Promise<void>;
}

export interface ConsumerOptions {
  readonly topic: string;
  /** The consumers of one group share the messages: each message goes to one of them. */
  readonly group: string;
  /** How long a receive waits for a message. */
  readonly awaitMs: number;
  /** How long a received message belongs to its receiver. */
  readonly invisibleMs: number;
  /** Messages a receive answers at most. */
  readonly batchSize: number;
}

/** What messages travel on: at least once, in order within a group. */
export interface MessageBus {
  readonly producer: MessageProducer;
  openConsumer(options: ConsumerOptions): MessageConsumer;
  /** Closes the producer and every consumer. Safe twice; never rejects. */
  close(): Promise<void>;
}
