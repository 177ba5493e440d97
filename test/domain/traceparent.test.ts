// Tests which traceparents are taken for one: those of the W3C's Trace Context, and no other.
import { expect, test } from "bun:test";
import { formatTraceparent, parseTraceparent } from "../../src/domain/traceparent.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

test.each([
  [`00-${traceId}-${spanId}-01`, true],
  [`00-${traceId}-${spanId}-00`, false],
  [`00-${traceId}-${spanId}-03`, true],
  [`01-${traceId}-${spanId}-01-what-will-be`, true],
])("%s is one", (given, isSampled) => {
  const parsed = parseTraceparent(given);
  expect(parsed).toEqual({ traceId, spanId, isSampled });
});

test.each([
  ["no text", undefined],
  ["a number", 7],
  ["an empty text", ""],
  ["an unknown version", `ff-${traceId}-${spanId}-01`],
  ["a trace of zeroes", `00-${"0".repeat(32)}-${spanId}-01`],
  ["a span of zeroes", `00-${traceId}-${"0".repeat(16)}-01`],
  ["capitals", `00-${traceId.toUpperCase()}-${spanId}-01`],
  ["more than version 00 has", `00-${traceId}-${spanId}-01-more`],
  ["a short trace", `00-${traceId.slice(1)}-${spanId}-01`],
  ["a line end", `00-${traceId}-${spanId}-01\n`],
  ["two of them", `00-${traceId}-${spanId}-01,00-${traceId}-${spanId}-01`],
  ["a very long one", `01-${traceId}-${spanId}-01-${"x".repeat(1_000_000)}`],
])("%s is none", (_what, given) => {
  expect(parseTraceparent(given)).toBeUndefined();
});

test("one that is written can be read", () => {
  const context = { traceId, spanId, isSampled: true };
  expect(formatTraceparent(context)).toBe(`00-${traceId}-${spanId}-01` as ReturnType<typeof formatTraceparent>);
  expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
});
