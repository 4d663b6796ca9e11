import type { ServerResponse } from "node:http";
import { onGone } from "./gone.ts";

/** How one stream of server-sent events is written. */
export interface EventStreamOptions {
  /** Milliseconds that what was sent may stay unread before the reader is cut off. */
  readonly stallMs: number;
  /** Called once, when the connection is gone or was ended. */
  readonly onClosed: () => void;
}

/**
 * Writes server-sent events to one reader, at the reader's pace.
 *
 * Nothing is queued here: who writes waits for the reader, and a reader that leaves its connection
 * full for too long is cut off.
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #stallMs: number;
  #isFull = false;
  #isGone = false;
  #goOn: () => void = () => undefined;

  constructor(response: ServerResponse, options: EventStreamOptions) {
    this.#response = response;
    this.#stallMs = options.stallMs;
    onGone(response, () => {
      this.#isGone = true;
      this.#goOn();
      options.onClosed();
    });
    // Without a listener, a reader that breaks off would end the process.
    response.on("error", options.onClosed);
  }

  /** Sends the head of the answer at once, so that the reader knows it is connected. */
  open(headers: Readonly<Record<string, string | number | string[] | undefined>>): void {
    this.#response.writeHead(200, {
      ...headers,
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // A proxy that collects an answer before it hands it on would hold every event back.
      "x-accel-buffering": "no",
    });
    this.#response.flushHeaders();
  }

  /** Writes one piece; resolves once the reader can take more, or is gone. */
  async write(text: string): Promise<void> {
    if (this.isOver) return;
    if (!this.#response.write(text)) await this.#drained();
  }

  /** A comment, for whoever waits behind a proxy; not where there is something to read anyway, nor before the head. */
  comment(): void {
    const isOpen = this.#response.headersSent && !this.isOver;
    if (isOpen && !this.#isFull) this.#response.write(": still here\n\n");
  }

  /** Ends the stream; what was written before still arrives. */
  end(): void {
    if (!this.#response.writableEnded) this.#response.end();
  }

  get isOver(): boolean {
    return this.#isGone || this.#response.writableEnded || this.#response.destroyed;
  }

  #drained(): Promise<void> {
    const response = this.#response;
    this.#isFull = true;
    return new Promise((resolve) => {
      // Not the response: one that waits behind another has nothing to cut yet.
      const timer = setTimeout(() => response.req.socket.destroy(), this.#stallMs);
      this.#goOn = () => {
        clearTimeout(timer);
        response.off("drain", this.#goOn);
        this.#isFull = false;
        resolve();
      };
      response.once("drain", this.#goOn);
    });
  }
}

/** One event of a stream. Data is one line: JSON has no bare line breaks. */
export function eventText(name: string, data: string, id?: string): string {
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `event: ${name}\n${head}data: ${data}\n\n`;
}

/** Sets the reader's last event id without an event. */
export function positionText(id: string): string {
  return `id: ${id}\n\n`;
}
