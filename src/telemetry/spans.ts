// Room: telemetry. Owns spans, as OpenTelemetry's library makes them of work: their names, their attributes, their ends.
import {
  type Span as ApiSpan,
  type Attributes,
  type AttributeValue,
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { asSnapmillError } from "../domain/errors.ts";
import { redacted } from "../domain/redaction.ts";
import { formatTraceparent, parseTraceparent, type Traceparent } from "../domain/traceparent.ts";
import type { Attribute, Description, Work, WorkKind } from "../domain/work.ts";

/** A longer text is cut: a span is to be small, whatever a caller calls its snapshots. */
const maxCharacters = 512;
/** Of an attribute that is a list. */
const maxItems = 32;

const kinds: Readonly<Record<WorkKind, SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

export class Spans {
  readonly #tracer: Tracer;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** `startMs`: milliseconds since 1970; default: now. */
  start(work: Work, around: Span | undefined, startMs?: number): Span {
    const options = {
      kind: kinds[work.kind ?? "internal"],
      attributes: attributesOf(work),
      ...(startMs !== undefined && { startTime: startMs }),
    };
    const span = this.#tracer.startSpan(work.name, options, parentOf(work, around));
    return new Span(span);
  }
}

export class Span {
  readonly #span: ApiSpan;

  constructor(span: ApiSpan) {
    this.#span = span;
  }

  get traceId(): string {
    return this.#span.spanContext().traceId;
  }

  get traceparent(): Traceparent {
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    return formatTraceparent({ traceId, spanId, isSampled: (traceFlags & TraceFlags.SAMPLED) !== 0 });
  }

  /** As the parent of what follows. */
  get context(): Context {
    return trace.setSpan(ROOT_CONTEXT, this.#span);
  }

  describe({ name, attributes, failure }: Description): void {
    if (name !== undefined) this.#span.updateName(name);
    if (attributes !== undefined) this.#span.setAttributes(bounded(attributes));
    if (failure !== undefined) this.#fail(failure);
  }

  /** `failure`: what the work threw; undefined: it went well. `endMs`: milliseconds since 1970; default: now. */
  end(failure?: unknown, endMs?: number): void {
    if (failure !== undefined) this.#fail(failure);
    this.#span.end(endMs);
  }

  #fail(failure: unknown): void {
    const { code, message } = asSnapmillError(failure);
    this.#span.setAttribute("error.type", code);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: shown(message) });
  }
}

/** An unusable `parent` counts for nothing: the work is then part of what is under way, or begins a trace. */
function parentOf({ parent }: Work, around: Span | undefined): Context {
  const given = parseTraceparent(parent);
  if (given === undefined) return around?.context ?? ROOT_CONTEXT;
  const { traceId, spanId, isSampled } = given;
  const traceFlags = isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function attributesOf({ fields = {}, attributes = {} }: Work): Attributes {
  const named = Object.entries(fields).map(([field, value]) => [`snapmill.${snakeCase(field)}`, value]);
  return bounded({ ...Object.fromEntries(named), ...attributes });
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const bounded = (attributes: NonNullable<Work["attributes"]>): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) => (value === undefined ? [] : [[name, boundedValue(value)]])),
  );

function boundedValue(value: Attribute): AttributeValue {
  if (typeof value === "string") return shown(value);
  if (typeof value === "number" || typeof value === "boolean") return value;
  return value.slice(0, maxItems).map(shown);
}

const shown = (text: string): string =>
  redacted(text.slice(0, 2 * maxCharacters))
    .slice(0, maxCharacters)
    .toWellFormed();
