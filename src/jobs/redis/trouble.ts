// Room: jobs. Owns the words for a Redis that cannot be used: what is wrong with it, and the way out.

/** Redis' own words for each trouble, and ours with the way out. The first that matches is meant. */
const troubles: readonly (readonly [pattern: RegExp, sentence: string])[] = [
  [
    /WRONGPASS|invalid (?:username-)?password|called without any password/i,
    "refuses the user or the password of REDIS_URL: correct them",
  ],
  [/NOAUTH|Authentication required/i, "wants a password: put it into REDIS_URL (redis://:PASSWORD@HOST:PORT)"],
  [
    /NOPERM|no permissions|can't run this command/i,
    "does not let this user do what queues need: give it the rights ~{snapmill:* and +@all",
  ],
  [/\bREADONLY\b/, "is a read-only replica: set REDIS_URL to its primary"],
  [/\bMASTERDOWN\b/, "is a replica that has lost its primary: set REDIS_URL to a primary"],
  [/\bMISCONF\b/, "cannot write to its disk: make room there and look into the log of Redis"],
  [/\bNOREPLICAS\b/, "has fewer replicas than it demands for writes (min-replicas-to-write): bring them back"],
  [/\bOOM\b/, "has no memory left: raise its maxmemory, or free some of it"],
  [/\bLOADING\b/, "is still loading its data: wait until it has, and try again"],
  [/\bBUSY\b/, "is busy with a script of another client: end that by SCRIPT KILL"],
  [/\bCLUSTERDOWN\b/, "belongs to a cluster that is down: bring that back"],
  [/ECONNREFUSED|ENOENT/, "is not there: start it, or set REDIS_URL"],
  [/EACCES|EPERM/, "may not be used by this user: run snapmill as root, or mend the rights of the socket"],
  [/ENOTFOUND|EAI_AGAIN/, "has a host name that cannot be resolved: correct REDIS_URL"],
  [/EHOSTUNREACH|ENETUNREACH/, "cannot be reached from here: mend the network, or correct REDIS_URL"],
  [
    /ETIMEDOUT|no answer|timed out/i,
    "does not answer: it hangs, or something else listens there; restart it, or correct REDIS_URL",
  ],
  [
    /Protocol error|ParserError|Unknown RESP type/i,
    "does not speak as Redis does: something else listens there; correct REDIS_URL",
  ],
];

/**
 * One sentence on why the Redis called `label` (see `redisLabel`) cannot be used, from what it or the network said.
 * `said` is kept in brackets, without the script's number that Redis puts behind an error.
 */
export function describeTrouble(label: string, said: string): string {
  const known = troubles.find(([pattern]) => pattern.test(said));
  const sentence = known?.[1] ?? "cannot be used: look into its log, or set REDIS_URL";
  const [what = "", ...wayOut] = sentence.split(": ");
  return `Redis at ${label} ${what} (${brief(said)}): ${wayOut.join(": ")}`;
}

/** Without the place in a script, which changes from script to script and says nothing to people. */
const brief = (said: string): string =>
  said
    .replace(/,? ?script: .*$/s, "")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 120);

/** What only a change of the settings helps against: waiting is in vain. */
export const isFinal = (said: string): boolean =>
  /NOAUTH|WRONGPASS|NOPERM|can't run this command|without any password|Protocol error|Unknown RESP type/i.test(said);
