// Room: cli. Owns `snapmill status`: what is wrong, what runs, what is queued, how full the pool is.
import type { Command } from "commander";
import type { HealthPart } from "../../domain/health.ts";
import { describeHold, endOfHold } from "../../domain/queues.ts";
import { describeRunning, pagesUrl } from "../../domain/running.ts";
import type { Status } from "../../service/status.ts";
import { formatFields, formatShare, plural } from "../output/format.ts";
import { nowFields } from "../output/now-fields.ts";
import { printJson, printLines } from "../output/output.ts";
import { verdictFields } from "../output/verdict-fields.ts";
import { openPool } from "../pool/open.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addStatus(program: Command): void {
  program
    .command("status")
    .description("show what is wrong, what runs and whether it is ready, what is queued, and how full the pool is")
    .addOption(jsonOption("one JSON object"))
    .addHelpText(
      "after",
      examples(
        ["status", "at a glance"],
        ["status --json | jq .readiness.ok", "whether jobs are taken and worked off"],
        ["status --json | jq .queues.unpack.waiting", "one figure"],
        ["status --json | jq -r .verdict.severity", "for a script: ok, notice, warning or critical"],
      ),
    )
    .action(async (options: JsonOption, command: Command) => {
      await using pool = await openPool(command);
      const [verdict, now, found] = await Promise.all([pool.poolVerdict({}), pool.now({}), pool.status({})]);
      if (options.json) await printJson({ verdict, now, ...found });
      else await printLines(formatFields([...verdictFields(verdict), ...nowFields(now), ...fieldsOf(found)]));
    });
}

function fieldsOf(found: Status): (readonly [string, string | undefined])[] {
  const { running, redis, queues, workers, claim, metadata } = found;
  return [
    ["State directory", found.stateDir],
    [
      "Pool",
      metadata === null ? `${found.pool} (not made yet)` : `${found.pool} (${metadata.driver ?? "no driver yet"})`,
    ],
    ["Running", running === null ? "no" : `yes: ${describeRunning(running)}`],
    ...readinessFields(found.readiness),
    ["Pages", running?.kind === "up" ? pagesUrl(running) : undefined],
    ["Redis", redis === null ? undefined : `${redis.url}${redis.failure === null ? "" : ` (${redis.failure})`}`],
    ["Inflate", inflateText(found.inflate)],
    ["Claim", claimText(claim)],
    ["Workers", workers === null ? undefined : `${workers.pool} of the pool, ${workers.unpack} unpacking`],
    ["Pool's jobs", queues === null ? undefined : namedCounts(queues.pool)],
    ["Unpack jobs", queues === null ? undefined : namedCounts(queues.unpack)],
    ["Held", heldText(found)],
    ["Unpacks to do", metadata === null ? undefined : String(metadata.pendingUnpacks)],
    ["Removals to do", metadata === null ? undefined : removalsText(metadata)],
    ["Set aside", setAsideText(metadata)],
    ...(metadata === null ? [] : spaceFields(metadata)),
    ["Snapshots", metadata === null ? undefined : namedCounts(metadata.snapshots)],
    ["Devices", metadata === null ? undefined : namedCounts(metadata.devices)],
  ];
}

const partNames: Readonly<Record<HealthPart, string>> = {
  up: "snapmill",
  redis: "Redis",
  queue: "queue",
  database: "SQLite",
  pool: "pool",
  poolWorker: "pool worker",
  unpackWorkers: "unpack workers",
  grpcServer: "gRPC server",
  disk: "disk",
};

/** What is wrong has a line of its own for each part. */
function readinessFields(readiness: Status["readiness"]): [string, string][] {
  if (readiness === null) return [];
  const parts = Object.entries(partNames) as [HealthPart, string][];
  const wrong = parts.flatMap(([part, name]): [string, string][] =>
    (readiness.parts[part] ?? []).map((reason) => [`  ${name}`, reason]),
  );
  const inOrder = parts.flatMap(([part, name]) => (readiness.parts[part]?.length === 0 ? [name] : []));
  const summary = `${readiness.ok ? "yes" : "no"}${inOrder.length === 0 ? "" : ` (in order: ${inOrder.join(", ")})`}`;
  return [["Ready", summary], ...wrong];
}

const heldText = ({ pool, metadata }: Pick<Status, "pool" | "metadata">): string | undefined => {
  const hold = metadata?.hold ?? undefined;
  return hold && `${describeHold(hold)}: ${endOfHold(pool)}`;
};

const inflateText = ({ library, version, reason }: Status["inflate"]): string =>
  `${library}${version === null ? "" : ` ${version}`}${reason === null ? "" : ` (${reason})`}`;

function spaceFields({ space, metadataSpace, poolState }: NonNullable<Status["metadata"]>): [string, string][] {
  return [
    ["Space", spaceText(space)],
    ...(metadataSpace === null ? [] : [["Metadata", spaceText(metadataSpace)] satisfies [string, string]]),
    ...(poolState === null ? [] : [["State", poolStateTexts[poolState] ?? poolState] satisfies [string, string]]),
  ];
}

type Fill = NonNullable<Status["metadata"]>["space"];

/** The meaning of a thin-pool's states; docs/DEVICE-MAPPER.md says what to do about them. */
const poolStateTexts: Readonly<Record<string, string>> = {
  rw: "in service",
  ro: "read-only: nothing can be written or removed",
  out_of_data_space: "full: writes fail until there is free space",
  failed: "failed: its metadata cannot be read or written",
  needs_check: "read-only until its metadata has been checked",
};

const spaceText = (space: Fill): string =>
  space === null ? "known while 'snapmill up' runs" : formatShare(space.usedBytes, space.totalBytes);

const setAsideText = (metadata: Status["metadata"]): string | undefined =>
  metadata === null || metadata.setAside === 0
    ? undefined
    : `${plural(metadata.setAside, "operation")} whose workers died: 'snapmill doctor' names them`;

function removalsText(metadata: NonNullable<Status["metadata"]>): string {
  const { pendingRemovals, failedRemovals, discardedRemovals } = metadata;
  const more = [
    ...(failedRemovals > 0 ? [`${failedRemovals} of them given up`] : []),
    ...(discardedRemovals > 0 ? [`${discardedRemovals} discarded`] : []),
  ];
  return more.length === 0
    ? String(pendingRemovals)
    : `${[pendingRemovals, ...more].join(", ")}: see 'snapmill removals'`;
}

function claimText(claim: Status["claim"]): string | undefined {
  if (claim === null) return undefined;
  const { isOurs, host, stateDir, claimedAt, seenAt, database } = claim;
  const whose = isOurs ? "this database" : "another database: 'snapmill up' is refused here without --take-over";
  return `${whose} (${database} on host ${host}, ${stateDir}; since ${claimedAt}, last seen ${seenAt})`;
}

/** "2 active, 14 committed". */
function namedCounts(counts: Readonly<Record<string, number>>): string {
  const texts = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  return texts.length === 0 ? "none" : texts.join(", ");
}
