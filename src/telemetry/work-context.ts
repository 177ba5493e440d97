// Room: telemetry. Owns the work under way in this process: what its log lines carry, and which span it is.
import { AsyncLocalStorage } from "node:async_hooks";
import type { EndedWork, Observer, Work, WorkFields } from "../domain/work.ts";
import type { Span, Spans } from "./spans.ts";

interface Current {
  readonly fields: Readonly<Record<string, string>>;
  readonly span: Span | undefined;
}

const none: Current = { fields: {}, span: undefined };

/** Without `spans`, only the fields of log lines are kept, and work without fields costs nothing. */
export class WorkContext implements Observer {
  readonly #current = new AsyncLocalStorage<Current>();
  readonly #spans: Spans | undefined;

  constructor(spans?: Spans) {
    this.#spans = spans;
  }

  get isTracing(): boolean {
    return this.#spans !== undefined;
  }

  readonly run = <T>(work: Work, action: () => T): T => {
    const around = this.#current.getStore() ?? none;
    const fields = work.fields === undefined ? around.fields : joined(around.fields, work.fields);
    if (this.#spans === undefined) {
      return work.fields === undefined ? action() : this.#current.run({ fields, span: undefined }, action);
    }
    if (!hasSpan(work, around.span)) return this.#current.run({ fields, span: undefined }, action);
    const span = this.#spans.start(work, around.span);
    return this.#current.run({ fields, span }, () => untilSettled(span, action));
  };

  readonly ended = (work: EndedWork): void => {
    const { span } = this.#current.getStore() ?? none;
    if (hasSpan(work, span)) this.#spans?.start(work, span, work.startMs).end(work.failure, work.endMs);
  };

  readonly describe: Observer["describe"] = (more) => this.#current.getStore()?.span?.describe(more);

  readonly traceparent: Observer["traceparent"] = () => this.#current.getStore()?.span?.traceparent;

  readonly fields: Observer["fields"] = () => {
    const { fields, span } = this.#current.getStore() ?? none;
    return span === undefined ? fields : { ...fields, traceId: span.traceId };
  };

  readonly bound: Observer["bound"] = (action) => {
    const current = this.#current.getStore() ?? none;
    return (...args) => this.#current.run(current, () => action(...args));
  };

  readonly apart = <T>(action: () => T): T => this.#current.run(none, action);
}

/** Otherwise each look at a device that nobody has asked for would be a trace. */
const hasSpan = ({ kind = "internal", parent }: Work, around: Span | undefined): boolean =>
  kind !== "internal" || around !== undefined || parent !== undefined;

/** `around` and the fields that are given. By a loop: every call passes here. */
function joined(around: Current["fields"], fields: WorkFields): Record<string, string> {
  const all: Record<string, string> = { ...around };
  for (const name in fields) {
    const value = fields[name as keyof WorkFields];
    if (value !== undefined) all[name] = value;
  }
  return all;
}

/** The span ends with what `action` returns, or throws, or with the promise that it returns. */
function untilSettled<T>(span: Span, action: () => T): T {
  let returned: T;
  try {
    returned = action();
  } catch (error) {
    span.end(error);
    throw error;
  }
  if (!(returned instanceof Promise)) {
    span.end();
    return returned;
  }
  return returned.then(
    (value: unknown) => {
      span.end();
      return value;
    },
    (error: unknown) => {
      span.end(error);
      throw error;
    },
  ) as T;
}
