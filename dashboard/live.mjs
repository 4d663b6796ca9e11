// Changes as they happen: one stream for the whole page, which comes back by itself.
import { openStream, Refusal } from "./api.mjs";

const SILENCE_MS = 40_000; // the service says something every 15 s
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

/**
 * Watches until `signal` aborts. `onChange` is told of each change, `onGap` when changes may have
 * been missed, `onStanding` of "live", "reconnecting" and "refused".
 */
export async function watch(given) {
  const place = { after: undefined, hasListened: false, retryMs: FIRST_RETRY_MS };
  while (!given.signal.aborted) {
    const isWelcome = await listen(place, given);
    if (given.signal.aborted) return;
    given.onStanding(isWelcome ? "reconnecting" : "refused");
    if (!isWelcome) return;
    await pause(place.retryMs, given.signal);
    place.retryMs = Math.min(place.retryMs * 2, LAST_RETRY_MS);
  }
}

/** Listens until the stream ends; false where there is no use in coming back. */
async function listen(place, { signal, ...told }) {
  try {
    for await (const event of eventsFrom({ signal, after: place.after })) {
      place.retryMs = FIRST_RETRY_MS;
      tell(event, place, told);
      place.after = event.id ?? place.after;
    }
    return true;
  } catch (error) {
    if (!(error instanceof Refusal) || error.status >= 500) return true;
    place.after = undefined; // a cursor of another database, perhaps
    return error.status === 400;
  }
}

function tell({ name, data }, place, { onChange, onGap, onStanding }) {
  if (name === "change") onChange(data);
  if (name === "gap") onGap();
  if (name !== "open") return;
  onStanding("live");
  // Without a cursor, what happened while nobody listened is not known.
  if (place.hasListened && place.after === undefined) onGap();
  place.hasListened = true;
}

async function* eventsFrom({ signal, after }) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const either = AbortSignal.any([signal, silence.signal]);
  try {
    const body = await openStream("/v1/watch", { query: { data: "false", after }, signal: either });
    yield { name: "open" };
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      yield* blocks.map(eventOf).filter((event) => event !== undefined);
    }
  } finally {
    clearTimeout(timer);
  }
}

function eventOf(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (fields.id === undefined && fields.event === undefined) return undefined;
  const data = fields.data === undefined ? undefined : JSON.parse(fields.data);
  return { name: fields.event ?? "position", id: fields.id, data };
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
