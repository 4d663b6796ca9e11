/** One event of a `text/event-stream`; a comment has neither name nor data. */
export interface StreamEvent {
  readonly name: string;
  readonly data: string;
  /** The newest `id:` the stream gave, on this event or before; empty where there was none. */
  readonly lastEventId: string;
}

/** A stream that sends this much without ending a line is not ours. */
const MAX_LINE_CHARS = 64 * 1024 * 1024;

/**
 * The events of a `text/event-stream` body, and an empty event for each comment or bare id, so
 * that the reader sees that the stream lives.
 */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<StreamEvent> {
  const block = new EventBlock();
  for await (const line of readLines(body)) {
    const event = block.take(line);
    if (event !== undefined) yield event;
  }
}

class EventBlock {
  #name = "";
  #data: string[] = [];
  /** Counts only once its event is whole: what was cut off must come again. */
  #id = "";
  #lastEventId = "";

  take(line: string): StreamEvent | undefined {
    if (line === "") return this.#end();
    if (line.startsWith(":")) return { name: "", data: "", lastEventId: this.#lastEventId };
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") this.#name = value;
    if (field === "data") this.#data.push(value);
    if (field === "id") this.#id = value;
    return undefined;
  }

  #end(): StreamEvent {
    this.#lastEventId = this.#id;
    const event = {
      name: this.#name,
      data: this.#data.join("\n"),
      lastEventId: this.#lastEventId,
    };
    this.#name = "";
    this.#data = [];
    return event;
  }
}

async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  // Parts are joined once a line is whole: adding to one string would cost its length each time.
  let parts: string[] = [];
  let chars = 0;
  for await (const chunk of body) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    const rest = lines.pop()!;
    for (const line of lines) {
      parts.push(line);
      yield parts.length === 1 ? trimReturn(line) : trimReturn(parts.join(""));
      parts = [];
      chars = 0;
    }
    if (rest === "") continue;
    parts.push(rest);
    chars += rest.length;
    if (chars > MAX_LINE_CHARS) throw new RangeError("the event stream holds an endless line");
  }
}

function trimReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
