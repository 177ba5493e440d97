// Room: jobs. Owns the failures of Redis: one table, from which every question about a failure is answered.
import { asSnapmillError, failedPrecondition, resourceExhausted, SnapmillError } from "../../domain/errors.ts";

/** Redis does not answer. A failure of this kind in another process arrives here as a plain `unavailable`. */
export class RedisAway extends SnapmillError {
  constructor(message: string, cause?: unknown) {
    super("unavailable", message, cause === undefined ? undefined : { cause });
  }
}

interface Trouble {
  /** Matches the message of Redis, ioredis (6.0), BullMQ (6.7) or the kernel. */
  readonly pattern: RegExp;
  /** A reply of Redis, or a failure of the connection. `gone`: ioredis replaces the connection by itself. */
  readonly from: "reply" | "connection" | "gone";
  /** What is wrong, after "Redis at ...". */
  readonly what: string;
  readonly wayOut: string;
  /** What the failure means to a caller; undefined: `unavailable`. */
  readonly is?: "full" | "damaged";
  /** Only a change of the settings helps: waiting is in vain. */
  readonly isFinal?: true;
}

const unknown = { what: "cannot be used", wayOut: "look into its log, or set REDIS_URL" } as const;

/** The first that matches applies. */
const troubles: readonly Trouble[] = [
  {
    pattern: /WRONGPASS|invalid (?:username-)?password|called without any password/i,
    from: "reply",
    what: "refuses the user or the password of REDIS_URL",
    wayOut: "correct them",
    isFinal: true,
  },
  {
    pattern: /NOAUTH|Authentication required/i,
    from: "reply",
    what: "wants a password",
    wayOut: "put it into REDIS_URL (redis://:PASSWORD@HOST:PORT)",
    isFinal: true,
  },
  {
    pattern: /NOPERM|no permissions|can't run this command/i,
    from: "reply",
    what: "does not let this user do what queues need",
    wayOut: "give it the rights ~{snapmill:* and +@all",
    isFinal: true,
  },
  {
    pattern: /\bREADONLY\b/,
    from: "reply",
    what: "is a read-only replica",
    wayOut: "set REDIS_URL to its primary",
  },
  {
    pattern: /\bMASTERDOWN\b/,
    from: "reply",
    what: "is a replica that has lost its primary",
    wayOut: "set REDIS_URL to a primary",
  },
  {
    pattern: /\bMISCONF\b/,
    from: "reply",
    what: "cannot write to its disk",
    wayOut: "make room there and look into the log of Redis",
  },
  {
    pattern: /\bNOREPLICAS\b/,
    from: "reply",
    what: "has fewer replicas than it demands for writes (min-replicas-to-write)",
    wayOut: "bring them back",
  },
  {
    pattern: /\bOOM\b/,
    from: "reply",
    what: "has no memory left",
    wayOut: "raise its maxmemory, or free some of it",
    is: "full",
  },
  {
    pattern: /\bLOADING\b/,
    from: "reply",
    what: "is still loading its data",
    wayOut: "wait until it has, and try again",
  },
  {
    pattern: /\bBUSY\b/,
    from: "reply",
    what: "is busy with a script of another client",
    wayOut: "end that by SCRIPT KILL",
  },
  {
    pattern: /\bCLUSTERDOWN\b/,
    from: "reply",
    what: "belongs to a cluster that is down",
    wayOut: "bring that back",
  },
  { pattern: /\bTRYAGAIN\b/, from: "reply", ...unknown },
  {
    pattern: /\bWRONGTYPE\b/,
    from: "reply",
    what: "holds a value of another kind under a key of snapmill's",
    wayOut: "stop what writes there, and delete that key",
    is: "damaged",
  },
  {
    pattern: /ECONNREFUSED/,
    from: "gone",
    what: "is not there",
    wayOut: "start it, or set REDIS_URL",
  },
  {
    // A socket: most often the private Redis of an 'up' that does not run.
    pattern: /ENOENT/,
    from: "gone",
    what: "is not there",
    wayOut: "start 'snapmill up' or what serves this socket, or set REDIS_URL",
  },
  {
    pattern: /EACCES|EPERM/,
    from: "gone",
    what: "may not be used by this user",
    wayOut: "run snapmill as root, or mend the rights of the socket",
  },
  {
    pattern: /ENOTFOUND|EAI_AGAIN/,
    from: "gone",
    what: "has a host name that cannot be resolved",
    wayOut: "correct REDIS_URL",
  },
  {
    pattern: /EHOSTUNREACH|ENETUNREACH/,
    from: "gone",
    what: "cannot be reached from here",
    wayOut: "mend the network, or correct REDIS_URL",
  },
  {
    pattern: /ETIMEDOUT|no answer|timed out/i,
    from: "connection",
    what: "does not answer",
    wayOut: "it hangs, or something else listens there; restart it, or correct REDIS_URL",
  },
  {
    pattern: /Protocol error|ParserError|Unknown RESP type/i,
    from: "connection",
    what: "does not speak as Redis does",
    wayOut: "something else listens there; correct REDIS_URL",
    isFinal: true,
  },
  { pattern: /Connection is closed/i, from: "gone", ...unknown },
  { pattern: /max retries per request|isn't writeable|Socket closed|\bconnect E/i, from: "connection", ...unknown },
];

/** Undefined: none that is known. */
const troubleIn = (said: string): Trouble | undefined => troubles.find(({ pattern }) => pattern.test(said));

/** How an error that Redis itself answers begins: with its kind. */
const replyStart = /^[A-Z]{3,} /;

/** The same for an error. An entry for replies applies to replies only: other messages may quote a caller's ID. */
function troubleOf({ message }: Error): Trouble | undefined {
  const trouble = troubleIn(message);
  return trouble?.from === "reply" && !replyStart.test(message) ? undefined : trouble;
}

const isOfNetwork = (error: Error): boolean =>
  "syscall" in error || ("code" in error && typeof error.code === "string");

/** `error` of a Redis command as a SnapmillError; what is neither Redis' nor the network's is `internal`. */
export function asRedisFailure(error: unknown): SnapmillError {
  if (error instanceof SnapmillError || !(error instanceof Error)) return asSnapmillError(error);
  const { message } = error;
  const trouble = troubleOf(error);
  switch (trouble?.is) {
    case "full":
      return resourceExhausted(`Redis has no memory left: ${message}`, error);
    case "damaged":
      return failedPrecondition(`Redis ${trouble.what} (${brief(message)}): ${trouble.wayOut}`, error);
    case undefined: {
      const isAway = trouble !== undefined || isOfNetwork(error);
      return isAway ? new RedisAway(`Redis does not answer: ${message}`, error) : asSnapmillError(error);
    }
  }
}

/**
 * One sentence on why the Redis called `label` (see `redisLabel`) cannot be used, and the way out. `said` is the message
 * of Redis or of the network; it is quoted in brackets, without the script's number that Redis appends.
 */
export function describeTrouble(label: string, said: string): string {
  const { what, wayOut } = troubleIn(said) ?? unknown;
  return `Redis at ${label} ${what} (${brief(said)}): ${wayOut}`;
}

/** Without the place in a script, which tells a reader nothing. */
const brief = (said: string): string =>
  said
    .replace(/,? ?script: .*$/s, "")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 120);

/** Only a change of the settings helps: waiting is in vain. */
export const isFinal = (said: string): boolean => troubleIn(said)?.isFinal === true;

/** A value of another kind lies where snapmill's is expected. */
export const isDamage = (error: unknown): boolean => error instanceof Error && troubleOf(error)?.is === "damaged";

/** Redis itself has refused. Otherwise the connection's last error says more than the command's. */
export const isReply = (error: unknown): boolean => error instanceof Error && replyStart.test(error.message);

/** ioredis waits for the next connection by itself: nothing has to be held back meanwhile. */
export const isConnectionLost = (error: unknown): boolean =>
  error instanceof Error && ("syscall" in error || troubleOf(error)?.from === "gone");
