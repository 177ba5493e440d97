// Room: domain. Owns the seam through which work is observed: what is known of it, its spans, and the trace it is part of.
import type { Traceparent } from "./traceparent.ts";

/** What is known of the work under way: the fields of its log lines, and, after `snapmill.`, of its spans. */
export interface WorkFields {
  readonly operationId?: string | undefined;
  readonly requestId?: string | undefined;
  readonly job?: string | undefined;
  readonly pool?: string | undefined;
  readonly key?: string | undefined;
  readonly image?: string | undefined;
  readonly layer?: string | undefined;
  readonly device?: string | undefined;
  readonly batch?: string | undefined;
}

export type Attribute = string | number | boolean | readonly string[];

/** `server`, `client`: the ends of a request. `producer`, `consumer`: the ends of a queue. */
export type WorkKind = "internal" | "server" | "client" | "producer" | "consumer";

export interface Work {
  /** As its span shows it: "job prepare", "driver activate". Few different ones: keys and images are fields. */
  readonly name: string;
  /** Default: internal, which is a part of other work: where nothing is under way, it has no span. */
  readonly kind?: WorkKind;
  readonly fields?: WorkFields;
  /** What the span alone shows, by OpenTelemetry's names where there are some. Never a secret. */
  readonly attributes?: Readonly<Record<string, Attribute | undefined>>;
  /** Whose part it is, where that is not the work under way: anything else than a traceparent is ignored. */
  readonly parent?: string | undefined;
}

/** Work that was measured elsewhere, and has ended. Milliseconds since 1970. */
export interface EndedWork extends Work {
  readonly startMs: number;
  readonly endMs: number;
  readonly failure?: unknown;
}

/** What becomes known of work while it is under way. */
export interface Description extends Pick<Work, "attributes"> {
  readonly name?: string;
  /** Why it has failed, where it does not throw. */
  readonly failure?: unknown;
}

/** What a process sets to observe its work. */
export interface Observer {
  /** Whether spans are made; without, only the fields of log lines are kept. */
  readonly isTracing: boolean;
  /** Runs `action` as `work`, until the promise that it may return has settled. */
  readonly run: <T>(work: Work, action: () => T) => T;
  readonly ended: (work: EndedWork) => void;
  /** Adds to the work under way. */
  readonly describe: (more: Description) => void;
  /** The trace and span under way, for those who work on in its name. */
  readonly traceparent: () => Traceparent | undefined;
  /** The fields of log lines of the work under way. */
  readonly fields: () => Readonly<Record<string, string>>;
  /** `action` as part of the work that is under way now, whenever it is called. */
  readonly bound: <Arguments extends readonly unknown[], T>(
    action: (...args: Arguments) => T,
  ) => (...args: Arguments) => T;
  /** Runs `action` as part of no work: what it starts outlives the work under way. */
  readonly apart: <T>(action: () => T) => T;
}

let observer: Observer | undefined;

/** Once, when a process starts. Undefined: nothing is observed. */
export function observeWork(by: Observer | undefined): void {
  observer = by;
}

export const isObserved = (): boolean => observer !== undefined;

/** Whether spans are made at all: to be asked before something is computed for them alone. */
export const isTracing = (): boolean => observer?.isTracing === true;

export const inWork = <T>(work: Work, action: () => T): T =>
  observer === undefined ? action() : observer.run(work, action);

export const workEnded = (work: EndedWork): void => observer?.ended(work);

export const describeWork = (more: Description): void => observer?.describe(more);

export const traceparent = (): Traceparent | undefined => observer?.traceparent();

export const workFields = (): Readonly<Record<string, string>> => observer?.fields() ?? {};

export const boundToWork = <Arguments extends readonly unknown[], T>(
  action: (...args: Arguments) => T,
): ((...args: Arguments) => T) => (observer === undefined ? action : observer.bound(action));

export const apartFromWork = <T>(action: () => T): T => (observer === undefined ? action() : observer.apart(action));

/** What a job's payload, or the arguments of an operation, say of the work. */
export function fieldsOf(given: unknown): WorkFields {
  if (typeof given !== "object" || given === null) return {};
  const { pool, key, name, device, reference, batch } = given as Readonly<Record<string, unknown>>;
  return {
    pool: text(pool),
    key: text(key) ?? text(name),
    device: text(device),
    image: text(reference),
    batch: text(batch),
  };
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
