// Room: domain. Owns what can be wrong with a pool's space and its device: a part of the verdict's table.
import { formatSize } from "./units.ts";
import { type AreaFacts, fullShare, type VerdictFacts } from "./verdict-facts.ts";
import { commandOn, type Found, type Remedy, type Row, roughly } from "./verdict-trouble.ts";

const hourMs = 3_600_000;
/** Within an hour nobody comes from home; within a day nothing need be done tonight. */
const soon = { criticalMs: hourMs, warningMs: 6 * hourMs, noticeMs: 24 * hourMs } as const;
const nearlyFullShare = 0.9;

const inState =
  (state: string, found: (facts: VerdictFacts) => Omit<Found, "severity">): Row =>
  (facts) =>
    facts.watch?.poolState === state ? { severity: "critical", ...found(facts) } : undefined;

const lost: Row = ({ watch, pool, hasPool }) =>
  !hasPool || watch?.isAttached !== false
    ? undefined
    : {
        severity: "critical",
        sentence: `pool ${pool} is lost: its device is not on this host any more`,
        next: "every change fails, and mounted snapshots return errors, until it is back",
        wayOut: "attach its disk again, or restore it from a backup; then start 'snapmill up' again",
      };

const failed = inState("failed", ({ pool }) => ({
  sentence: `the thin-pool of ${pool} has failed: its metadata can be neither read nor written`,
  next: "nothing in it can be read or written",
  wayOut: `'${commandOn(pool, "pool status")}' says what the kernel found; docs/DEVICE-MAPPER.md has the repair`,
}));

const needsCheck = inState("needs_check", ({ pool }) => ({
  sentence: `the thin-pool of ${pool} is read-only: its metadata needs a check`,
  next: "nothing can be written or removed until it was checked",
  wayOut: "stop 'snapmill up', check the metadata as docs/DEVICE-MAPPER.md says, and start it again",
}));

const readOnly = inState("ro", ({ pool }) => ({
  sentence: `the thin-pool of ${pool} is read-only`,
  next: "nothing can be written or removed",
  wayOut: `'${commandOn(pool, "pool status")}' says why: its metadata may be full, or its disk failing`,
}));

const isFull = ({ usedBytes, totalBytes }: AreaFacts): boolean => usedBytes >= fullShare * totalBytes;
const percent = ({ usedBytes, totalBytes }: AreaFacts): string =>
  `${Math.round((100 * usedBytes) / totalBytes)} % of ${formatSize(totalBytes)}`;

const dataFull: Row = (facts) => {
  const { data, pool, watch } = facts;
  const isOut = watch?.poolState === "out_of_data_space";
  if (!isOut && (data === undefined || !isFull(data))) return undefined;
  const fill = data === undefined ? "" : `: ${percent(data)} in use`;
  return {
    severity: "critical",
    sentence: `pool ${pool} is full${fill}`,
    since: data?.fullSinceMs ?? null,
    next: "unpacks and writes fail; removals still work",
    ...moreData(facts),
  };
};

const metadataFull: Row = (facts) => {
  const { metadata, pool } = facts;
  if (metadata === undefined || !isFull(metadata)) return undefined;
  return {
    severity: "critical",
    sentence: `the metadata of pool ${pool} is full: ${percent(metadata)} in use`,
    since: metadata.fullSinceMs,
    next: "the kernel makes the pool read-only, and it needs a check then",
    ...moreMetadata(facts),
  };
};

/** Full soon by its trend, or nearly full without one. */
function filling(
  area: AreaFacts | undefined,
  name: string,
  nowMs: number,
): Pick<Found, "severity" | "sentence" | "next"> | undefined {
  if (area === undefined || isFull(area)) return undefined;
  const leftMs = area.trend === null ? Number.POSITIVE_INFINITY : area.trend.fullAtMs - nowMs;
  const isNearlyFull = area.usedBytes >= nearlyFullShare * area.totalBytes;
  if (leftMs > soon.noticeMs && !isNearlyFull) return undefined;
  const known = Number.isFinite(leftMs);
  return {
    severity: severityOf(leftMs, isNearlyFull),
    sentence: known
      ? `${name} is full in ${roughly(leftMs)}: ${percent(area)} in use`
      : `${name} is nearly full: ${percent(area)} in use`,
    next: known
      ? `at ${formatSize(area.trend?.bytesPerSecond ?? 0)} a second, as in the last hour, it is full in ${roughly(leftMs)}`
      : "it does not grow at the moment",
  };
}

function severityOf(leftMs: number, isNearlyFull: boolean): Found["severity"] {
  if (leftMs <= soon.criticalMs) return "critical";
  return leftMs <= soon.warningMs || isNearlyFull ? "warning" : "notice";
}

const dataFilling: Row = (facts) => {
  if (facts.watch?.poolState === "out_of_data_space") return undefined;
  const found = filling(facts.data, `pool ${facts.pool}`, facts.nowMs);
  return found && { ...found, ...moreData(facts) };
};

const metadataFilling: Row = (facts) => {
  const found = filling(facts.metadata, `the metadata of pool ${facts.pool}`, facts.nowMs);
  return found && { ...found, ...moreMetadata(facts) };
};

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;
const freeShare = 0.2;

function moreData({ pool, data, watch }: VerdictFacts): { readonly wayOut: string; readonly remedy: Remedy } {
  if (watch?.driver === "devmapper" && data !== undefined) {
    const dataBytes = Math.ceil((1.5 * data.totalBytes) / gibibyte) * gibibyte;
    const command = commandOn(pool, `pool grow --data-size ${dataBytes / gibibyte}GiB`);
    const label = `Grow the pool to ${formatSize(dataBytes)}`;
    return {
      wayOut: "grow the pool (one on devices: enlarge its device first), or remove images that nobody needs",
      remedy: { label, operation: "growPool", input: { dataBytes }, command },
    };
  }
  return {
    wayOut:
      "remove images and snapshots that nobody needs; where the pool shares its file system, free space there, too",
    remedy: {
      label: `Remove unused images until ${100 * freeShare} % is free`,
      operation: "pruneImages",
      input: { untilFreeShare: freeShare },
      command: commandOn(pool, `images prune --until-free ${100 * freeShare}%`),
    },
  };
}

function moreMetadata({ pool, metadata }: VerdictFacts): { readonly wayOut: string; readonly remedy?: Remedy } {
  const wayOut = "grow the metadata (of a pool on devices: enlarge its device first)";
  if (metadata === undefined) return { wayOut };
  const metadataBytes = Math.ceil((2 * metadata.totalBytes) / mebibyte) * mebibyte;
  const command = commandOn(pool, `pool grow --metadata-size ${metadataBytes / mebibyte}MiB`);
  const label = `Grow the metadata to ${formatSize(metadataBytes)}`;
  return { wayOut, remedy: { label, operation: "growPool", input: { metadataBytes }, command } };
}

export const spaceRows = {
  "pool-lost": lost,
  "pool-failed": failed,
  "pool-needs-check": needsCheck,
  "pool-read-only": readOnly,
  "pool-full": dataFull,
  "metadata-full": metadataFull,
  "pool-filling": dataFilling,
  "metadata-filling": metadataFilling,
} as const satisfies Readonly<Record<string, Row>>;
