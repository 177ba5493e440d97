// Room: jobs. Owns the claim on a pool's name in Redis: how it is taken, kept, moved and read.
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { failedPrecondition, type SnapmillError } from "../../domain/errors.ts";
import { type PoolName, poolName } from "../../domain/identifiers.ts";
import { visible } from "../../domain/quoted.ts";
import { keyPrefix } from "../queues.ts";
import { answering, answerTimeoutMs, producerConnection } from "../redis/connection.ts";
import { asRedisFailure, isDamage } from "../redis/failures.ts";

/** The database that serves a pool, and where it lies. */
export interface ClaimHolder {
  /** The database's own random number: see metadata/pool.ts. */
  readonly database: number;
  readonly host: string;
  readonly stateDir: string;
  /**
   * Names the database's file among all that can be open at this moment: the kernel's boot, the file system, the inode.
   * Two holders of one number in different places are copies of one database.
   */
  readonly place: string;
}

/** A claim does not expire: it stays while its host is off, and moves only on request. */
export interface PoolClaim extends ClaimHolder {
  /** Milliseconds since 1970 by the clock of Redis; so is `seenAtMs`. */
  readonly claimedAtMs: number;
  /** When a worker of the holder last confirmed the claim. */
  readonly seenAtMs: number;
  /** How long ago that was when the claim was read. */
  readonly unseenMs: number;
  /** The kind of value that lies where the claim should: then nothing of it can be read. Undefined: it is a claim. */
  readonly wrongType?: string | undefined;
}

/** A holder that has not been seen for this long is not alive: see `beatEveryMs` of worker-liveness.ts. */
const holderLastsMs = 10_000;
/** A worker that has not confirmed its claim for this long asks before it begins another job. */
export const confirmedLastsMs = 3_000;

/** Moves whatever claim there is: for a Redis that belongs to the state directory itself. */
export const takeOverAny = "any";
/** Names one claim, so that a take-over moves the claim that its operator has seen, and no other. */
export const claimToken = ({ database, claimedAtMs }: PoolClaim): string => `${database}@${claimedAtMs}`;
/** The token of a claim of which nothing can be read. */
const damagedToken = "0@0";

export const claimKey = (pool: PoolName): string => `${keyPrefix(pool)}:claim`;
/** At most this many pools are shown in a message. */
const mostShown = 100;
/** All pools that were ever claimed in a Redis. */
const poolsKey = "{snapmill}:pools";

/** The last moment that a Date can show, in the year 275760. */
const latestMs = 8_640_000_000_000_000;

/**
 * KEYS: claim, beat. ARGV: database, host, stateDir, place, isStart, mayClaim, takeOver, beat's and a holder's duration.
 * A Redis that is full does not keep a holder from learning that the claim is still its own (pcall). A value of another
 * type is no claim: a holder that runs replaces it like a claim that Redis lost; a start does when it takes over.
 */
const claimScript = `
local function whole(text)
  local value = tonumber(text) or 0
  return value > 0 and value < ${latestMs} and value == math.floor(value) and value or 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then
  local isMoved = ARGV[7] == '${takeOverAny}' or ARGV[7] == '${damagedToken}'
  if ARGV[5] == '1' and not isMoved then return {'held', string.format('%.0f', now), {}, kind} end
  if ARGV[6] == '0' then return {'absent', string.format('%.0f', now), {}, kind} end
  redis.call('DEL', KEYS[1])
end
local database, place, claimed, seen =
  unpack(redis.call('HMGET', KEYS[1], 'database', 'place', 'claimedAtMs', 'seenAtMs'))
claimed, seen = whole(claimed), whole(seen)
local verdict = 'ours'
if not database then
  if ARGV[6] == '0' then verdict = 'absent' end
elseif database ~= ARGV[1] or place ~= ARGV[4] then
  local isStart, isLive = ARGV[5] == '1', now - seen < tonumber(ARGV[9])
  local token = string.format('%.0f@%.0f', whole(database), claimed)
  local isMoved = isStart and (ARGV[7] == '${takeOverAny}' or ARGV[7] == token)
  if not isMoved then
    if database ~= ARGV[1] then verdict = 'held'
    elseif isLive or not isStart then verdict = 'copied' end
  end
end
local before = redis.call('HGETALL', KEYS[1])
if verdict == 'ours' then
  local isKept = database == ARGV[1] and place == ARGV[4]
  if not isKept then claimed = now end
  local write = isKept and redis.pcall or redis.call
  write('HSET', KEYS[1], 'database', ARGV[1], 'host', ARGV[2], 'stateDir', ARGV[3], 'place', ARGV[4],
    'claimedAtMs', string.format('%.0f', claimed), 'seenAtMs', string.format('%.0f', now))
  if ARGV[8] ~= '0' then write('SET', KEYS[2], '1', 'PX', ARGV[8]) end
end
return {verdict, string.format('%.0f', now), before, kind}
`;

/** The answer: `held` by another database, or by a live copy of this one (`copied`); `before`: as it was found. */
export type ClaimOutcome =
  | { readonly verdict: "ours"; readonly before: PoolClaim | undefined }
  | { readonly verdict: "absent" }
  | { readonly verdict: "held" | "copied"; readonly before: PoolClaim };

export interface ClaimQuestion {
  readonly pool: PoolName;
  readonly holder: ClaimHolder;
  /** Whether a claim that is not there may be made. */
  readonly mayClaim: boolean;
  /** A start may also move a claim: that of a copy that is dead, and the one that `takeOver` names. */
  readonly start?: { readonly takeOver: string | undefined };
  /** The worker's heartbeat, written if the claim is its own. */
  readonly beat?: { readonly key: string; readonly lastsMs: number };
}

/** Asks for the claim, or whether it is still the holder's: one round trip. */
export async function askForClaim(connection: Redis, question: ClaimQuestion): Promise<ClaimOutcome> {
  const { pool, holder, mayClaim, start, beat } = question;
  const key = claimKey(pool);
  const answer = (await connection.eval(
    claimScript,
    2,
    key,
    beat?.key ?? key,
    String(holder.database),
    holder.host,
    holder.stateDir,
    holder.place,
    start === undefined ? "0" : "1",
    mayClaim ? "1" : "0",
    start?.takeOver ?? "",
    String(beat?.lastsMs ?? 0),
    String(holderLastsMs),
  )) as [ClaimOutcome["verdict"], string, string[], string];
  const [verdict, nowMs, fields, type] = answer;
  const before = parseClaim(type, Object.fromEntries(pairsOf(fields)), Number(nowMs));
  if (verdict === "ours") {
    // Only for messages: a Redis user that may touch the pool's keys alone works without.
    if (before === undefined) await connection.sadd(poolsKey, pool).catch(() => undefined);
    return { verdict, before };
  }
  return verdict === "absent" || before === undefined ? { verdict: "absent" } : { verdict, before };
}

export interface ClaimRequest {
  readonly pool: PoolName;
  readonly holder: ClaimHolder;
  readonly takeOver: string | undefined;
}

const copyPollMs = 500;

/**
 * Takes the pool's name for the holder, who is starting; resolves with the claim that was moved for it, if one was. A
 * holder that was alive until now has noticed by then. Throws failed_precondition when the name is another's.
 */
export async function takeClaim(connection: Redis, request: ClaimRequest): Promise<PoolClaim | undefined> {
  const { pool, holder } = request;
  const copy = copyWatch(pool);
  let { takeOver } = request;
  for (;;) {
    const outcome = await askForClaim(connection, { pool, holder, mayClaim: true, start: { takeOver } });
    switch (outcome.verdict) {
      case "ours": {
        const { before } = outcome;
        if (before === undefined || isSameHolder(before, holder)) return undefined;
        // Of a damaged one it is not known when its holder was seen.
        if (before.unseenMs < holderLastsMs || before.wrongType !== undefined) await delay(confirmedLastsMs);
        return before;
      }
      case "held":
        throw heldByAnother(pool, outcome.before);
      case "copied":
        if (copy(outcome.before) === "gone") takeOver = claimToken(outcome.before);
        break;
      case "absent":
        break;
    }
    await delay(copyPollMs);
  }
}

/**
 * Whether a copy that the claim names lives: perhaps it is only the trace of a holder that was killed on another boot.
 * Throws as soon as it shows up again; it is gone when it has not for long enough, whatever the clock of Redis says.
 */
function copyWatch(pool: PoolName): (claim: PoolClaim) => "perhaps" | "gone" {
  const sinceMs = performance.now();
  let firstSeenAtMs: number | undefined;
  return (claim) => {
    firstSeenAtMs ??= claim.seenAtMs;
    if (claim.seenAtMs !== firstSeenAtMs) throw heldByCopy(pool, claim);
    return performance.now() - sinceMs > holderLastsMs ? "gone" : "perhaps";
  };
}

/** Throws what `takeClaim` would throw to a new database, and changes nothing: for before anything is made. */
export async function requireClaimable(connection: Redis, pool: PoolName, takeOver: string | undefined): Promise<void> {
  const claim = await readClaim(connection, pool);
  if (claim === undefined) return;
  if (takeOver === takeOverAny || takeOver === claimToken(claim)) return;
  throw heldByAnother(pool, claim);
}

/** The claim of a pool's name; undefined: it is free. Throws what Redis throws. */
export async function readClaim(connection: Redis, pool: PoolName): Promise<PoolClaim | undefined> {
  const key = claimKey(pool);
  const reading = connection.hgetall(key).catch((error: unknown) => {
    if (isDamage(error)) return {};
    throw error;
  });
  const [[seconds], type, fields] = await Promise.all([connection.time(), connection.type(key), reading]);
  return parseClaim(type, fields, Number(seconds) * 1000);
}

/** `readClaim` on a connection of its own; `unavailable` within about a second when Redis is away. */
export async function lookUpClaim(redisUrl: string, pool: PoolName): Promise<PoolClaim | undefined> {
  return await connected(redisUrl, (connection) => readClaim(connection, pool));
}

/** The pools that were ever claimed in a Redis, and their claims, by name. Throws `unavailable` when Redis is away. */
export async function claimedPools(redisUrl: string): Promise<ReadonlyMap<PoolName, PoolClaim>> {
  return await connected(redisUrl, async (connection) => {
    const names = (await connection.smembers(poolsKey)).flatMap(poolNameIn).sort().slice(0, mostShown);
    const claims = await Promise.all(names.map(async (name) => [name, await readClaim(connection, name)] as const));
    return new Map(claims.flatMap(([name, claim]) => (claim === undefined ? [] : [[name, claim] as const])));
  });
}

/** The same for those whose holders are alive. */
export async function servedPools(redisUrl: string): Promise<ReadonlyMap<PoolName, PoolClaim>> {
  return new Map([...(await claimedPools(redisUrl))].filter(([, claim]) => isAlive(claim)));
}

/** What is no pool's name was not written by snapmill, and is not shown. */
function poolNameIn(text: string): PoolName[] {
  try {
    return [poolName(text)];
  } catch {
    return [];
  }
}

async function connected<T>(redisUrl: string, use: (connection: Redis) => Promise<T>): Promise<T> {
  const connection = await answering(producerConnection(redisUrl), redisUrl, 1.5 * answerTimeoutMs);
  try {
    return await use(connection);
  } catch (error) {
    throw asRedisFailure(error);
  } finally {
    connection.disconnect();
  }
}

export const isAlive = ({ unseenMs }: PoolClaim): boolean => unseenMs < holderLastsMs;

const isSameHolder = (one: ClaimHolder, other: ClaimHolder): boolean =>
  one.database === other.database && one.place === other.place;

/** `type`: of the value that lies there, as Redis calls it. */
function parseClaim(type: string, fields: Readonly<Record<string, string>>, nowMs: number): PoolClaim | undefined {
  if (type !== "hash" && type !== "none")
    return { ...unreadable, stateDir: `a ${type} in Redis, which is no claim`, unseenMs: nowMs, wrongType: type };
  const { database, host, stateDir, place, claimedAtMs, seenAtMs } = fields;
  if (database === undefined) return undefined;
  return {
    database: numberIn(database),
    host: shown(host),
    stateDir: shown(stateDir),
    place: place ?? "",
    claimedAtMs: numberIn(claimedAtMs),
    seenAtMs: numberIn(seenAtMs),
    unseenMs: Math.max(0, nowMs - numberIn(seenAtMs)),
  };
}

const unreadable = { database: 0, host: "unknown", place: "", claimedAtMs: 0, seenAtMs: 0 } as const;

/** The longest path that Linux opens; a host's name is shorter. */
const maxShown = 4_096;

/** Text from a damaged claim must neither upset a terminal nor fill a log. */
const shown = (text = ""): string =>
  visible(text.length > maxShown ? `${text.slice(0, maxShown)}... (${text.length} characters)` : text);

/** A claim that was damaged in Redis is still a claim, which a take-over can move. */
function numberIn(text: string | undefined): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 && value < latestMs ? value : 0;
}

function pairsOf(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.push([flat[at] ?? "", flat[at + 1] ?? ""]);
  return pairs;
}

const wayOut = "use another --pool name, or move the name here with 'snapmill up --take-over'";

/** The holder in words: "host a (/var/lib/snapmill, database 4711, claimed …, last seen …)". */
export const describeClaim = ({ host, stateDir, database, claimedAtMs, seenAtMs, wrongType }: PoolClaim): string =>
  wrongType !== undefined
    ? `a holder that is not known (the claim was a ${wrongType} in Redis)`
    : `host ${host} (${stateDir}, database ${database}, claimed ${timeText(claimedAtMs)}, last seen ${timeText(seenAtMs)})`;

const timeText = (ms: number): string => new Date(ms).toISOString();

const heldByAnother = (pool: PoolName, claim: PoolClaim): SnapmillError =>
  failedPrecondition(
    claimDamage(pool, claim) ?? `the pool name ${pool} is claimed in this Redis by ${describeClaim(claim)}: ${wayOut}`,
  );

/** Why a claim cannot be read, and the way out; undefined: it can. */
export const claimDamage = (pool: PoolName, { wrongType }: PoolClaim): string | undefined =>
  wrongType &&
  `the claim on the pool name ${pool} is damaged: its key ${claimKey(pool)} in Redis is a ${wrongType}, not a hash; ` +
    "if no other host serves the pool, replace it with 'snapmill up --take-over'";

export const heldByCopy = (pool: PoolName, claim: PoolClaim): SnapmillError =>
  failedPrecondition(
    `a copy of this database serves pool ${pool} on ${describeClaim(claim)}: two copies would drift apart, ` +
      "so run one of them only; 'snapmill up --take-over' makes it this one",
  );

export const nameLost = (pool: PoolName, claim: PoolClaim): SnapmillError =>
  failedPrecondition(
    `the pool name ${pool} was taken over by ${describeClaim(claim)}: no more jobs are taken here; ${wayOut}`,
  );
