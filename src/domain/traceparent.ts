// Room: domain. Owns the header that says of which trace a request is a part (W3C Trace Context).

declare const brand: unique symbol;
/** `00-<32 hex digits: the trace>-<16: the span>-<2: flags>` */
export type Traceparent = string & { readonly [brand]: "Traceparent" };

export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

/** The longest that a later version of the header is looked at. */
const maxCharacters = 512;
const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const isZero = (digits: string): boolean => /^0+$/.test(digits);

/** Undefined for anything that is no valid traceparent: the standard has it ignored. Later versions may be longer. */
export function parseTraceparent(given: unknown): TraceContext | undefined {
  if (typeof given !== "string" || given.length > maxCharacters) return undefined;
  const [, version = "", traceId = "", spanId = "", flags = "", more] = pattern.exec(given) ?? [];
  if (version === "" || version === "ff" || isZero(traceId) || isZero(spanId)) return undefined;
  if (version === "00" && more !== undefined) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const formatTraceparent = ({ traceId, spanId, isSampled }: TraceContext): Traceparent =>
  `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}` as Traceparent;
