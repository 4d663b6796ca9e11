import { trace } from "@opentelemetry/api";
import type { Span, Tracer, TracerProvider } from "@opentelemetry/api";
import { afterEach, expect, test, vi } from "vitest";
import { AgentRuntimeError } from "../state/errors.ts";
import { Tracing } from "./tracing.ts";

afterEach(() => {
  trace.disable();
});

/** A provider that keeps what it was told: the API without an SDK. */
function recordSpans() {
  const spans: { name: string; attributes: unknown; events: unknown[]; ended: boolean }[] = [];
  const tracer = {
    startActiveSpan(name: string, options: { attributes: object }, run: (span: Span) => unknown) {
      const record = { ...options, name, events: [] as unknown[], ended: false };
      spans.push(record);
      return run({
        spanContext: () => ({ traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 }),
        recordException: (exception: unknown) => record.events.push(exception),
        setStatus: (status: unknown) => record.events.push(status),
        end: () => (record.ended = true),
      } as unknown as Span);
    },
  } as unknown as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer } satisfies TracerProvider);
  return spans;
}

test("work runs inside a span with its attributes, which ends with it", async () => {
  const spans = recordSpans();
  const answer = new Tracing(true).withSpan("commit", { changes: 2 }, async () => {
    expect(spans[0]!.ended).toBe(false);
    return 7;
  });
  expect(await answer).toBe(7);
  expect(spans).toEqual([{ name: "commit", attributes: { changes: 2 }, events: [], ended: true }]);
});

test("a failure is recorded by its code, without secrets, and thrown on", async () => {
  const spans = recordSpans();
  const error = new AgentRuntimeError("UNAVAILABLE", "No answer from postgres://app:hunter2@db.");
  const answer = new Tracing(true).withSpan("commit", {}, () => Promise.reject(error));
  await expect(answer).rejects.toBe(error);
  expect(spans[0]).toMatchObject({ ended: true });
  expect(spans[0]!.events).toEqual([
    { name: "UNAVAILABLE", message: "No answer from postgres://app:***@db." },
    { code: 2, message: "UNAVAILABLE" },
  ]);
});

test("when it is off, the work is simply called", async () => {
  const spans = recordSpans();
  const run = vi.fn(async () => 7);
  const answer = new Tracing(false).withSpan("commit", {}, run);
  expect(answer).toBe(run.mock.results[0]!.value);
  expect(await answer).toBe(7);
  expect(spans).toEqual([]);
});

test("when it is on and nobody brought an SDK, the work runs all the same", async () => {
  expect(await new Tracing(true).withSpan("commit", {}, async () => 7)).toBe(7);
});
