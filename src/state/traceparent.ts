/** Which span of which trace something belongs to, as W3C Trace Context has it. */
export interface TraceParent {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all 0. */
  readonly spanId: string;
  /** Whether its trace is recorded. */
  readonly isSampled: boolean;
}

const SAMPLED = 1;
const SHAPE =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** What a `traceparent` says; null for anything else, which is as good as none (W3C Trace Context 4.3). */
export function parseTraceparent(text: unknown): TraceParent | null {
  const [, version, traceId, spanId, flags, rest] = SHAPE.exec(String(text)) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (version === "00" && rest !== undefined) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

export function formatTraceparent({ traceId, spanId, isSampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
}
