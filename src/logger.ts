// Room: top. Owns how the project's processes log: to stderr, JSON lines for machines, one short line for a terminal.
import { destination, type Logger, pino } from "pino";
import { processRepeats, tellOnce } from "./repeats.ts";

export type { Logger } from "pino";

const stderrFd = 2;
/** Of what could not be written: it is tried again with the next line. */
const keptBytes = 2 ** 20;

/** The log of one process; `name` tells the processes of a host apart ("up", "pool", "unpack"). */
export function createLogger({ name, level }: { readonly name: string; readonly level: string }): Logger {
  // Synchronous, so that the last words of a process that ends are not lost.
  const stderr = destination({ fd: stderrFd, sync: true, maxLength: keptBytes });
  // A log whose disk is full or whose reader has gone is no reason to end: what cannot be written is lost.
  stderr.on("error", () => undefined);
  const formatters = { level: (label: string) => ({ level: label }) };
  const options = { name, level, formatters, serializers: { err: loggedError }, hooks: tellOnce() };
  if (process.stderr.isTTY !== true) return pino(options, stderr);
  return pino(options, { write: (line: string) => void stderr.write(`${shortLine(line)}\n`) });
}

/**
 * What a log shows of an error: nothing else that a library hung on it. ioredis hangs the command on its errors, which
 * may be the one that signs in, with the password.
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

/** Says now how often warnings were repeated since they were told: before a process' last line, so that it is the last. */
export const sayWhatWasCounted = (): void => processRepeats.flush();

/** `12:03:04 warn pool: message (field=value)`: what a person wants of a JSON line of ours. */
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
