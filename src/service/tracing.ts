import { ROOT_CONTEXT, SpanStatusCode, TraceFlags, trace } from "@opentelemetry/api";
import type { Context, Span, SpanContext } from "@opentelemetry/api";
import { AgentRuntimeError } from "../state/errors.ts";
import { formatTraceparent, parseTraceparent } from "../state/traceparent.ts";
import { maskSecrets } from "./redact.ts";

/** What a span tells beside its name. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** Work, told which trace it belongs to where that is recorded, so that what follows from it can say so. */
export type Traced<T> = (traceparent: string | null) => Promise<T>;

const TRACER = "agent-runtime-state";
const SAMPLED: number = TraceFlags.SAMPLED;

/**
 * Spans through the OpenTelemetry API. The SDK is the operator's: without one, or when tracing is off, nothing is
 * recorded, but the context of an incoming trace is still passed on.
 */
export class Tracing {
  readonly #enabled: boolean;

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  /**
   * What `run` answers, inside a span that ends when it does.
   *
   * @param parent the `traceparent` that the work came with; without one, it belongs to the active span.
   */
  withSpan<T>(
    name: string,
    attributes: SpanAttributes,
    run: Traced<T>,
    parent?: string,
  ): Promise<T> {
    if (!this.#enabled) return run(recordedTrace(parent));
    // The tracer is looked up each time: the SDK may be registered after this was made.
    const tracer = trace.getTracer(TRACER);
    const work = (span: Span): Promise<T> => within(span, run);
    const context = contextOf(parent);
    return context === null
      ? tracer.startActiveSpan(name, { attributes }, work)
      : tracer.startActiveSpan(name, { attributes }, context, work);
  }
}

async function within<T>(span: Span, run: Traced<T>): Promise<T> {
  try {
    return await run(traceOf(span.spanContext()));
  } catch (error) {
    const code = error instanceof AgentRuntimeError ? error.code : "INTERNAL";
    const message = maskSecrets(error instanceof Error ? error.message : String(error));
    span.recordException({ name: code, message });
    span.setStatus({ code: SpanStatusCode.ERROR, message: code });
    throw error;
  } finally {
    span.end();
  }
}

/** The `traceparent` to hand on: the one given, else the active span's; null where it is not recorded. */
export function recordedTrace(given?: string): string | null {
  const parsed = given === undefined ? null : parseTraceparent(given);
  if (parsed !== null) return parsed.isSampled ? formatTraceparent(parsed) : null;
  const span = trace.getActiveSpan();
  return span?.isRecording() === true ? traceOf(span.spanContext()) : null;
}

/** Whether what runs now is part of a span. */
export function isTraced(): boolean {
  return trace.getActiveSpan() !== undefined;
}

function traceOf({ traceId, spanId, traceFlags }: SpanContext): string | null {
  const isSampled = (traceFlags & SAMPLED) === SAMPLED;
  const text = formatTraceparent({ traceId, spanId, isSampled });
  return isSampled && parseTraceparent(text) !== null ? text : null;
}

/** Nothing of where it was called from: the loop that received a message is no part of the message's trace. */
function contextOf(parent: string | undefined): Context | null {
  const parsed = parseTraceparent(parent);
  if (parsed === null) return null;
  const { traceId, spanId, isSampled } = parsed;
  const traceFlags = isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}
