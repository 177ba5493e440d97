// Room: top. Owns how snapmill's processes log to stderr: JSON lines for machines, short lines on a terminal.
import { destination, type Logger, pino } from "pino";
import { processRepeats, tellOnce } from "./repeats.ts";

export type { Logger } from "pino";

const stderrFd = 2;
/** The limit of the buffer for what could not be written; it is retried with the next line. */
const keptBytes = 2 ** 20;

/** The log of one process; `name` distinguishes the processes of a host ("up", "pool", "unpack"). */
export function createLogger({ name, level }: { readonly name: string; readonly level: string }): Logger {
  // Synchronous, so that the last lines of a process are not lost.
  const stderr = destination({ fd: stderrFd, sync: true, maxLength: keptBytes });
  // A full disk or a missing reader must not end the process: what cannot be written is dropped.
  stderr.on("error", () => undefined);
  const formatters = { level: (label: string) => ({ level: label }) };
  const options = { name, level, formatters, serializers: { err: loggedError }, hooks: tellOnce() };
  if (process.stderr.isTTY !== true) return pino(options, stderr);
  return pino(options, { write: (line: string) => void stderr.write(`${shortLine(line)}\n`) });
}

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

/** A JSON line in short form: `12:03:04 warn pool: message (field=value)`. */
export function shortLine(line: string): string {
  const {
    level,
    time,
    name,
    msg,
    err,
    pid: _pid,
    hostname: _hostname,
    ...fields
  } = JSON.parse(line) as Record<string, unknown>;
  const clock = new Date(Number(time)).toTimeString().slice(0, 8);
  const given = Object.entries(fields).map(([field, value]) => `${field}=${plain(value)}`);
  const because = typeof err === "object" && err !== null && "message" in err ? `: ${plain(err.message)}` : "";
  return `${clock} ${plain(level)} ${plain(name)}: ${plain(msg)}${because}${given.length === 0 ? "" : ` (${given.join(", ")})`}`;
}

const plain = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
