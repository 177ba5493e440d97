// Room: cli. Owns `snapmill status`: what runs, what is queued, how full the pool is.
import type { Command } from "commander";
import { type Config, redisUrl } from "../../config.ts";
import { asSnapmillError } from "../../domain/errors.ts";
import type { ClaimHolder, PoolClaim } from "../../jobs/claims/pool-claims.ts";
import { redisLabel } from "../../jobs/redis/url.ts";
import type { JobCounts } from "../../jobs/requests/client.ts";
import { countSnapshotsByKind } from "../../metadata/counts.ts";
import { countDevicesByState } from "../../metadata/devices.ts";
import { countPending } from "../../metadata/outbox.ts";
import { readPool } from "../../metadata/pool.ts";
import { listSetAside } from "../../metadata/strikes.ts";
import { poolSpace } from "../../service/pool-space.ts";
import { connect, databaseNumber } from "../../service/running-client.ts";
import { storeIfAny } from "../../service/store.ts";
import { describeRunning, findRunning, type Running } from "../../supervisor/running.ts";
import { formatFields, formatShare, plural } from "../output/format.ts";
import { printJson, printLines } from "../output/output.ts";
import { configOf, examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addStatus(program: Command): void {
  program
    .command("status")
    .description("show what runs, what is queued, and how full the pool is")
    .addOption(jsonOption("one JSON object"))
    .addHelpText(
      "after",
      examples(["status", "at a glance"], ["status --json | jq .queues.unpack.waiting", "one figure"]),
    )
    .action(async (options: JsonOption, command: Command) => {
      const status = await readStatus(configOf(command));
      if (options.json) await printJson(status);
      else await printLines(formatFields(fieldsOf(status)));
    });
}

interface Each<T> {
  readonly pool: T;
  readonly unpack: T;
}

interface Status {
  readonly stateDir: string;
  readonly pool: string;
  /** Null: no `up` runs for the state directory. */
  readonly running: Running | null;
  /** Its URL without a password; `failure` when it does not answer; null when nothing runs and it would be a private one. */
  readonly redis: { readonly url: string; readonly failure: string | null } | null;
  readonly queues: Each<JobCounts> | null;
  /** Processes that are connected to each queue. */
  readonly workers: Each<number> | null;
  /** The database that the pool's name in Redis belongs to; null when it is free, or the queue cannot be asked. */
  readonly claim:
    | (Omit<ClaimHolder, "place"> & { readonly claimedAt: string; readonly seenAt: string; readonly isOurs: boolean })
    | null;
  /** Removals of devices whose every attempt has failed; null when the queue cannot be asked. */
  readonly failedRemovals: number | null;
  /** Null: no pool was made yet. */
  readonly metadata: {
    readonly driver: string | null;
    readonly snapshots: ReturnType<typeof countSnapshotsByKind>;
    readonly devices: ReturnType<typeof countDevicesByState>;
    readonly pendingUnpacks: number;
    /** Devices whose snapshots are gone and that are still to be deleted, those that were given up among them. */
    readonly pendingRemovals: number;
    /** Operations that are executed no more, since workers died of them. */
    readonly setAside: number;
    /** Null: not attached. */
    readonly space: Fill | null;
    /** Of a thin-pool; null: not attached, or another kind of pool. */
    readonly metadataSpace: Fill | null;
    readonly poolState: string | null;
  } | null;
}

async function readStatus(config: Config): Promise<Status> {
  const running = (await findRunning(config)) ?? null;
  return {
    stateDir: config.stateDir,
    pool: config.pool,
    running,
    // A Redis of its own is there while it runs; another one is asked in any case, since another host may have the name.
    ...(running === null && config.redisUrl === undefined ? nothingRuns : await readQueues(config)),
    metadata: await readMetadata(config),
  };
}

type Queues = Pick<Status, "redis" | "queues" | "workers" | "claim" | "failedRemovals">;

const nothingRuns: Queues = { redis: null, queues: null, workers: null, claim: null, failedRemovals: null };

async function readQueues(config: Config): Promise<Queues> {
  const url = redisLabel(redisUrl(config));
  try {
    await using client = await connect(config);
    const [queues, workers, claim, failed] = await Promise.all([
      client.counts(),
      client.workers(),
      client.claim(),
      client.failedRemovals(),
    ]);
    const shown = claim === undefined ? null : claimOf(claim, databaseNumber(config));
    return { redis: { url, failure: null }, queues, workers, claim: shown, failedRemovals: failed.length };
  } catch (error) {
    return { ...nothingRuns, redis: { url, failure: asSnapmillError(error).message } };
  }
}

const claimOf = (claim: PoolClaim, ours: number | undefined): NonNullable<Status["claim"]> => ({
  database: claim.database,
  host: claim.host,
  stateDir: claim.stateDir,
  claimedAt: new Date(claim.claimedAtMs).toISOString(),
  seenAt: new Date(claim.seenAtMs).toISOString(),
  isOurs: claim.database === ours,
});

async function readMetadata(config: Config): Promise<Status["metadata"]> {
  using database = storeIfAny(config);
  if (database === undefined) return null;
  const space = await poolSpace(config, database);
  return {
    driver: readPool(database)?.driver ?? null,
    snapshots: countSnapshotsByKind(database),
    devices: countDevicesByState(database),
    pendingUnpacks: countPending(database, "unpack"),
    pendingRemovals: countPending(database, "remove-device"),
    setAside: listSetAside(database).length,
    space: space === undefined ? null : { usedBytes: space.usedBytes, totalBytes: space.totalBytes },
    metadataSpace: space?.metadata ?? null,
    poolState: space?.state ?? null,
  };
}

function fieldsOf(status: Status): (readonly [string, string | undefined])[] {
  const { running, redis, queues, workers, claim, metadata } = status;
  return [
    ["State directory", status.stateDir],
    [
      "Pool",
      metadata === null ? `${status.pool} (not made yet)` : `${status.pool} (${metadata.driver ?? "no driver yet"})`,
    ],
    ["Running", running === null ? "no" : `yes: ${describeRunning(running)}`],
    ["Queues", running?.kind === "up" ? `http://${running.httpAddress}/queues` : undefined],
    ["Redis", redis === null ? undefined : `${redis.url}${redis.failure === null ? "" : ` (${redis.failure})`}`],
    ["Claim", claimText(claim)],
    ["Workers", workers === null ? undefined : `${workers.pool} of the pool, ${workers.unpack} unpacking`],
    ["Pool's jobs", queues === null ? undefined : countsText(queues.pool)],
    ["Unpack jobs", queues === null ? undefined : countsText(queues.unpack)],
    ["Unpacks to do", metadata === null ? undefined : String(metadata.pendingUnpacks)],
    ["Removals to do", metadata === null ? undefined : removalsText(metadata.pendingRemovals, status.failedRemovals)],
    ["Set aside", setAsideText(metadata)],
    ...(metadata === null ? [] : spaceFields(metadata)),
    ["Snapshots", metadata === null ? undefined : namedCounts(metadata.snapshots)],
    ["Devices", metadata === null ? undefined : namedCounts(metadata.devices)],
  ];
}

function spaceFields({ space, metadataSpace, poolState }: NonNullable<Status["metadata"]>): [string, string][] {
  return [
    ["Space", spaceText(space)],
    ...(metadataSpace === null ? [] : [["Metadata", spaceText(metadataSpace)] satisfies [string, string]]),
    ...(poolState === null ? [] : [["State", poolStateTexts[poolState] ?? poolState] satisfies [string, string]]),
  ];
}

interface Fill {
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** What an operator has to do about a thin-pool's state stands in the guide; here, what it means. */
const poolStateTexts: Readonly<Record<string, string>> = {
  rw: "in service",
  ro: "read-only: nothing can be written or removed",
  out_of_data_space: "full: writes fail until there is room",
  failed: "failed: its metadata cannot be read or written",
  needs_check: "read-only until its metadata has been checked",
};

const spaceText = (space: Fill | null): string =>
  space === null ? "known while 'snapmill up' runs" : formatShare(space.usedBytes, space.totalBytes);

const setAsideText = (metadata: Status["metadata"]): string | undefined =>
  metadata === null || metadata.setAside === 0
    ? undefined
    : `${plural(metadata.setAside, "operation")} of which workers died: 'snapmill doctor' names them`;

function removalsText(pending: number, failed: number | null): string {
  if (failed === null || failed === 0) return String(pending);
  return `${pending}, ${failed} of them given up: 'snapmill doctor' says why, 'snapmill cleanup' tries again`;
}

function claimText(claim: Status["claim"]): string | undefined {
  if (claim === null) return undefined;
  const { isOurs, host, stateDir, claimedAt, seenAt, database } = claim;
  const whose = isOurs
    ? "this database"
    : "another database: 'snapmill up' is refused here, unless it is told to --take-over";
  return `${whose} (${database} on host ${host}, ${stateDir}; since ${claimedAt}, last seen ${seenAt})`;
}

const countsText = (counts: JobCounts): string => namedCounts({ ...counts });

/** "2 active, 14 committed". */
function namedCounts(counts: Readonly<Record<string, number>>): string {
  const texts = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  return texts.length === 0 ? "none" : texts.join(", ");
}
