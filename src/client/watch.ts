import { setTimeout as sleep } from "node:timers/promises";
import { callFault } from "../service/deadline.ts";
import { leavable } from "../service/leavable.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { Json, JsonObject } from "../state/json.ts";
import type { WatchOptions } from "../state/request.ts";
import type { Change } from "../state/state.ts";
import { decode, toChange } from "./decode.ts";
import type { Wire } from "./decode.ts";
import { queryOf } from "./encode.ts";
import { readEvents } from "./event-stream.ts";
import type { StreamEvent } from "./event-stream.ts";
import { errorOfProblem, networkError, problemError } from "./transport.ts";
import type { Transport } from "./transport.ts";

const FIRST_BACKOFF_MS = 50;
const LAST_BACKOFF_MS = 5_000;

/** The service sends a comment every 15 s; three of them missing is a dead connection. */
const SILENCE_MS = 45_000;

interface Source {
  readonly transport: Transport;
  /** Milliseconds without a stream after which the watch gives up. */
  readonly patienceMs: number;
}

/**
 * The changes of a service, over as many connections as it takes.
 *
 * A broken connection is made again from the last cursor; nothing is missed and nothing comes
 * twice. It ends quietly when `options.signal` or `closing` says so, and throws GAP, what the
 * service refuses, or UNAVAILABLE once the service was gone for `patienceMs`.
 */
export function watchService(
  source: Source,
  options: WatchOptions,
  closing: AbortSignal,
): AsyncIterable<Change> {
  return leavable((left) => follow(source, options, [left, closing]));
}

async function* follow(
  source: Source,
  options: WatchOptions,
  ends: readonly AbortSignal[],
): AsyncGenerator<Change, void, undefined> {
  const fault = options.signal === undefined ? undefined : callFault({ signal: options.signal });
  if (fault !== undefined) throw fault;
  const signal = AbortSignal.any([...ends, ...(options.signal ? [options.signal] : [])]);
  const place: Place = { cursor: options.after, failures: 0, goneAtMs: null };
  while (!signal.aborted) {
    try {
      yield* readStream(
        openStream(source.transport, { ...options, cursor: place.cursor }, signal),
        place,
      );
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AgentRuntimeError) || !error.retryable) throw error;
      const now = performance.now();
      place.goneAtMs ??= now;
      if (now - place.goneAtMs > source.patienceMs) throw error;
    }
    await pause(place.failures++, signal);
  }
}

/** How far a watch has come, over all of its connections. */
interface Place {
  cursor: string | undefined;
  /** Connections that brought nothing, in a row. */
  failures: number;
  /** When it was first found gone, if nothing came since. Before that no time counts: this process may have stood still. */
  goneAtMs: number | null;
}

async function* readStream(
  events: AsyncIterable<StreamEvent>,
  place: Place,
): AsyncGenerator<Change, void> {
  for await (const event of events) {
    place.failures = 0;
    if (event.name === "gap" || event.name === "error") throw eventError(event);
    if (event.lastEventId !== "") place.cursor = event.lastEventId;
    if (event.name === "change") yield readChange(event);
    place.goneAtMs = null;
  }
}

type StreamOptions = WatchOptions & { readonly cursor: string | undefined };

async function* openStream(
  transport: Transport,
  options: StreamOptions,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const { scope, id, type, cursor, data, namespace } = options;
  const silence = new AbortController();
  const listen = () => setTimeout(() => silence.abort(), SILENCE_MS);
  let timer = listen();
  try {
    const response = await transport.open(
      {
        method: "GET",
        path: `/v1/watch${queryOf({ scope, id, type, after: cursor, data })}`,
        headers: { accept: "text/event-stream" },
        namespace,
      },
      AbortSignal.any([signal, silence.signal]),
    );
    if (!response.ok) throw problemError(response, await response.text(), false);
    for await (const event of readEvents(response.body as AsyncIterable<Uint8Array>)) {
      // The caller may take its time; only the network's silence counts.
      clearTimeout(timer);
      yield event;
      timer = listen();
    }
  } catch (error) {
    throw error instanceof AgentRuntimeError ? error : networkError(error, false);
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

function readChange(event: StreamEvent): Change {
  return decode(parseData(event), (wire: Wire<Omit<Change, "cursor">>) =>
    toChange(wire, event.lastEventId),
  );
}

function eventError(event: StreamEvent): AgentRuntimeError {
  if (event.name === "error") return errorOfProblem(parseData(event) as JsonObject);
  return new AgentRuntimeError(
    "GAP",
    "the cursor is older than the changes that are kept; read the states, then resume from resumeFrom",
    { resumeFrom: event.lastEventId },
  );
}

function parseData(event: StreamEvent): Json {
  return decode(event.data, (text: string) => JSON.parse(text) as Json);
}

async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const longest = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failures);
  const ms = longest * (0.5 + Math.random() / 2);
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
