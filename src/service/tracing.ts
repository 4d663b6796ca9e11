import { SpanStatusCode, trace } from "@opentelemetry/api";
import { AgentRuntimeError } from "../state/errors.ts";
import { maskSecrets } from "./redact.ts";

/** What a span tells beside its name. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

const TRACER = "agent-runtime-state";

/**
 * Spans through the OpenTelemetry API: whoever runs the process brings the SDK, and without one, or
 * when it is off, nothing is recorded.
 */
export class Tracing {
  readonly #enabled: boolean;

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  /** What `run` answers, inside a span that ends when it does. */
  withSpan<T>(name: string, attributes: SpanAttributes, run: () => Promise<T>): Promise<T> {
    if (!this.#enabled) return run();
    // The tracer is looked up each time: the SDK may be registered after this was made.
    return trace.getTracer(TRACER).startActiveSpan(name, { attributes }, async (span) => {
      try {
        return await run();
      } catch (error) {
        const code = error instanceof AgentRuntimeError ? error.code : "INTERNAL";
        const message = maskSecrets(error instanceof Error ? error.message : String(error));
        span.recordException({ name: code, message });
        span.setStatus({ code: SpanStatusCode.ERROR, message: code });
        throw error;
      } finally {
        span.end();
      }
    });
  }
}
