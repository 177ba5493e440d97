// Room: top. Owns what becomes of a warning that is said again and again: told once, then counted once a minute.
import type { LogFn, LoggerOptions } from "pino";

const windowMs = 60_000;
/** Different sentences that are remembered at once. */
const maxSentences = 200;

/** pino's number for a warning; what is less is no failure, and what is fatal is always told. */
const [warnLevel, fatalLevel] = [40, 60];

type Say = (times: number) => void;

/** What is told, by what it is about; one for each process. */
export class Repeats {
  readonly #windowMs: number;
  readonly #told = new Map<string, { times: number; say: Say; timer: Timer }>();

  constructor(window = windowMs) {
    this.#windowMs = window;
  }

  /**
   * Whether the sentence is new and is to be told now. Otherwise it is counted, and `say` is called with the number at
   * the end of its minute, and each minute that it goes on.
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

  /** Says all that was counted, and forgets it. */
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

/** Those of this process. To be flushed before its last line, so that it is the last. */
export const processRepeats = new Repeats();

/** Two sentences that differ in numbers, digests and identifiers alone are the same one again. */
const kindOf = (sentence: string): string =>
  sentence
    .slice(0, 500)
    .replace(/[0-9a-f]{8,}/gi, "#")
    .replace(/\d+/g, "#");

/** For pino: warnings and errors go through here. */
export function tellOnce(repeats = processRepeats): NonNullable<LoggerOptions["hooks"]> {
  process.on("exit", () => repeats.flush());
  return {
    logMethod(args, method, level) {
      if (level < warnLevel || level >= fatalLevel) return method.apply(this, args);
      const [fields, sentence] = typeof args[0] === "string" ? [{}, args[0]] : [args[0] as object, String(args[1])];
      const again = (times: number) =>
        method.apply(this, [
          { times, ...withoutStack(fields) },
          summary(sentence, times),
        ] as unknown as Parameters<LogFn>);
      const kind = level === warnLevel ? "warning" : "error";
      if (repeats.isNew(`${kind}: ${sentence}${reasonIn(fields)}`, again)) method.apply(this, args);
    },
  };
}

const summary = (sentence: string, times: number): string =>
  `${sentence} (again ${times === 1 ? "once" : `${times} times`} in the last minute)`;

/** The same sentence for another reason is news. */
function reasonIn(fields: object): string {
  const { err } = fields as { err?: unknown };
  return err instanceof Error ? `: ${err.message}` : "";
}

/** The error itself was told with the first of them. */
function withoutStack(fields: object): object {
  const { err: _, ...rest } = fields as { err?: unknown };
  return rest;
}
