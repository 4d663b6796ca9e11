import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import type { Context, ContextManager, Span, SpanContext, Tracer } from "@opentelemetry/api";

/** A span as it was told. */
export interface RecordedSpan extends SpanContext {
  readonly name: string;
  /** The span that it is part of. */
  readonly parentSpanId: string | undefined;
}

export interface Spans {
  readonly recorded: readonly RecordedSpan[];
  /** Within a span of a trace that is recorded, or is not. */
  inSpan<T>(isSampled: boolean, run: (traceparent: string) => Promise<T>): Promise<T>;
  end(): void;
}

/** What an SDK does as far as traces that travel need it: it keeps spans, and knows which one is active. */
export function recordSpans(): Spans {
  const recorded: RecordedSpan[] = [];
  const active = new AsyncLocalStorage<Context>();
  const manager: ContextManager = {
    active: () => active.getStore() ?? ROOT_CONTEXT,
    with: (next, run, self, ...args) => active.run(next, () => run.apply(self!, args)),
    bind: (_, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  context.setGlobalContextManager(manager);
  const tracer = {
    startActiveSpan: (name: string, ...rest: unknown[]) => {
      const run = rest.at(-1) as (span: Span) => unknown;
      const from = rest.length === 3 ? (rest[1] as Context) : context.active();
      const parent = trace.getSpanContext(from);
      const own: SpanContext = {
        traceId: parent?.traceId ?? randomBytes(16).toString("hex"),
        spanId: randomBytes(8).toString("hex"),
        traceFlags: parent?.traceFlags ?? 1,
      };
      recorded.push({ ...own, name, parentSpanId: parent?.spanId });
      const span = spanOf(own);
      return context.with(trace.setSpan(from, span), () => run(span));
    },
  } as unknown as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  return {
    recorded,
    inSpan: (isSampled, run) => {
      const [traceId, spanId] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
      const span = spanOf({ traceId, spanId, traceFlags: isSampled ? 1 : 0 });
      const traceparent = `00-${traceId}-${spanId}-0${isSampled ? 1 : 0}`;
      return context.with(trace.setSpan(ROOT_CONTEXT, span), () => run(traceparent));
    },
    end: () => {
      trace.disable();
      context.disable();
    },
  };
}

function spanOf(own: SpanContext): Span {
  const told = {
    spanContext: () => own,
    isRecording: () => own.traceFlags === 1,
    recordException: () => {},
    setStatus: () => {},
    end: () => {},
  };
  return told as unknown as Span;
}
