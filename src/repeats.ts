// Room: top. Owns repeated warnings: each is logged once, then its repetitions are counted, and logged once a minute.
import type { LogFn, LoggerOptions } from "pino";
import { apartFromWork } from "./domain/work.ts";

const windowMs = 60_000;
/** Number of different sentences that are remembered. */
const maxSentences = 200;

/** pino's levels: lines below a warning report no failure, and fatal ones are always logged. */
const [warnLevel, fatalLevel] = [40, 60];

type Say = (times: number) => void;

/** Counts repeated sentences; each process has one. */
export class Repeats {
  readonly #windowMs: number;
  readonly #told = new Map<string, { times: number; say: Say; timer: Timer }>();

  constructor(window = windowMs) {
    this.#windowMs = window;
  }

  /**
   * Whether the sentence is new and must be logged now. Otherwise it is counted, and `say` is called with the count at
   * the end of each minute in which the sentence was repeated.
   */
  isNew(sentence: string, say: Say): boolean {
    const key = kindOf(sentence);
    const known = this.#told.get(key);
    if (known !== undefined) {
      known.times += 1;
      known.say = say;
      return false;
    }
    if (this.#told.size >= maxSentences) this.flush();
    const timer = setInterval(() => this.#sum(key), this.#windowMs);
    timer.unref();
    this.#told.set(key, { times: 0, say, timer });
    return true;
  }

  /** Reports all counts, then forgets them. */
  flush(): void {
    for (const [key, { times, say, timer }] of this.#told) {
      clearInterval(timer);
      this.#told.delete(key);
      if (times > 0) say(times);
    }
  }

  #sum(key: string): void {
    const told = this.#told.get(key);
    if (told === undefined) return;
    const { times, say, timer } = told;
    told.times = 0;
    if (times > 0) {
      say(times);
      return;
    }
    clearInterval(timer);
    this.#told.delete(key);
  }
}

/** The repeats of this process. Flush them before the last log line, so that it stays the last. */
export const processRepeats = new Repeats();

/** Sentences that differ only in numbers, digests and identifiers count as equal. */
const kindOf = (sentence: string): string =>
  sentence
    .slice(0, 500)
    .replace(/[0-9a-f]{8,}/gi, "#")
    .replace(/\d+/g, "#");

/** Hooks for pino: warnings and errors pass through them. */
export function tellOnce(repeats = processRepeats): NonNullable<LoggerOptions["hooks"]> {
  process.on("exit", () => repeats.flush());
  return {
    logMethod(args, method, level) {
      if (level < warnLevel || level >= fatalLevel) return method.apply(this, args);
      const [fields, sentence] = typeof args[0] === "string" ? [{}, args[0]] : [args[0] as object, String(args[1])];
      // The repetitions are of any work, not of that during which they are counted.
      const again = (times: number) =>
        apartFromWork(() =>
          method.apply(this, [
            { times, ...withoutStack(fields) },
            summary(sentence, times),
          ] as unknown as Parameters<LogFn>),
        );
      const kind = level === warnLevel ? "warning" : "error";
      if (repeats.isNew(`${kind}: ${sentence}${reasonIn(fields)}`, again)) method.apply(this, args);
    },
  };
}

const summary = (sentence: string, times: number): string =>
  `${sentence} (again ${times === 1 ? "once" : `${times} times`} in the last minute)`;

/** The same sentence with another reason is new. */
function reasonIn(fields: object): string {
  const { err } = fields as { err?: unknown };
  return err instanceof Error ? `: ${err.message}` : "";
}

/** The error was logged with the first sentence. */
function withoutStack(fields: object): object {
  const { err: _, ...rest } = fields as { err?: unknown };
  return rest;
}
