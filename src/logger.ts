// Room: top. Owns how snapmill's processes log to stderr: JSON lines for machines, short lines for people.
import { isatty } from "node:tty";
import { destination, type Logger, pino } from "pino";
import type { LogFormat } from "./config/schema.ts";
import { redacted } from "./domain/redaction.ts";
import { workFields } from "./domain/work.ts";
import { lineForPeople } from "./log-lines.ts";
import { processRepeats, tellOnce } from "./repeats.ts";

export type { Logger } from "pino";

export interface LoggerOptions {
  /** Distinguishes the processes of a host: "up", "pool", "unpack". */
  readonly name: string;
  readonly level: string;
  /** Default: auto. */
  readonly format?: LogFormat;
}

const stderrFd = 2;
/** The limit of the buffer for what could not be written; it is retried with the next line. */
const keptBytes = 2 ** 20;

/**
 * The log of one process. Each line has the fields of the work under way (domain/work.ts), and none has a credential
 * (domain/redaction.ts), whatever was logged.
 */
export function createLogger({ name, level, format = "auto" }: LoggerOptions): Logger {
  // Synchronous, so that the last lines of a process are not lost.
  const stderr = destination({ fd: stderrFd, sync: true, maxLength: keptBytes });
  // A full disk or a missing reader must not end the process: what cannot be written is dropped.
  stderr.on("error", () => undefined);
  const isForPeople = format === "pretty" || (format === "auto" && isatty(stderrFd));
  const formatters = { level: (label: string) => ({ level: label }) };
  const serializers = { err: loggedError };
  const hooks = tellOnce();
  const options = { name, level, formatters, mixin: workFields, mixinMergeStrategy: lineFields, serializers, hooks };
  const write = (line: string): void => {
    const safe = redacted(line);
    stderr.write(isForPeople ? `${lineForPeople(safe)}\n` : safe);
  };
  return pino(options, { write });
}

/** pino's own way writes the line's fields into those of the work, whose later lines would have them as well. */
const lineFields = (ofLine: object, ofWork: object): object => ({ ...ofWork, ...ofLine });

/**
 * The fields of an error that a log shows. Libraries attach others: ioredis attaches the command, which may be the one
 * that signs in, with the password.
 */
function loggedError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const { name, message, stack, cause } = error;
  return {
    type: name,
    message,
    ...("code" in error && { code: String(error.code) }),
    stack,
    ...(cause instanceof Error && { cause: cause.message }),
  };
}

/** Logs the counts of repeated warnings now; called before a process's last log line, so that it stays the last. */
export const sayWhatWasCounted = (): void => processRepeats.flush();
