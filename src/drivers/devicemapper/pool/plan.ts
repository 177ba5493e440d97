// Room: drivers. Owns the plan of a new thin-pool, and the checks that its creation destroys nothing.
import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import { alreadyExists, failedPrecondition, invalidArgument } from "../../../domain/errors.ts";
import { describeUse } from "../../../domain/holders.ts";
import type { PoolName } from "../../../domain/identifiers.ts";
import { formatSize } from "../../../domain/units.ts";
import { type BlockDevice, inspectBlockDevice, knownContentOf } from "../../../system/block/block-devices.ts";
import { holdersOf } from "../../../system/block/holders.ts";
import { isInUse } from "../../../system/block/openers.ts";
import { metadataBlockBytes, sectorBytes } from "../control/control.ts";
import type { PoolDefinition } from "./definition.ts";
import {
  blockSectorsOf,
  defaultBlockBytes,
  defaultLowWaterBlocks,
  minMetadataBytes,
  neededMetadataBytes,
  roomyMetadataBytes,
  wholeBlocks,
} from "./geometry.ts";
import { filesIn } from "./storage.ts";
import { type MetadataContent, readMetadataContent } from "./superblock.ts";

export type PlannedStorage =
  | { readonly kind: "devices"; readonly dataDevice: string; readonly metadataDevice: string }
  /** `metadataBytes`: default, see roomyMetadataBytes. */
  | {
      readonly kind: "loopback";
      readonly directory: string;
      readonly dataBytes: number;
      readonly metadataBytes?: number | undefined;
    };

export interface PoolPlan {
  readonly pool: PoolName;
  readonly storage: PlannedStorage;
  /** Default: 64 KiB; with `adopt`, what the pool has. */
  readonly blockBytes?: number | undefined;
  /** Default: a tenth of the pool. */
  readonly lowWaterBytes?: number | undefined;
  /** Default: error. */
  readonly whenFull?: PoolDefinition["whenFull"] | undefined;
  /**
   * What to do with existing content of the devices. `refuse` (the default) accepts only empty ones, `wipe` any; `adopt`
   * takes the existing thin-pool with all its content.
   */
  readonly existing?: "refuse" | "wipe" | "adopt" | undefined;
}

/** The plan after all checks that are possible beforehand. */
export interface CheckedPlan {
  readonly definition: PoolDefinition;
  /** Whether the kernel formats the metadata as a new, empty pool. */
  readonly formats: boolean;
  /** Sentences that an operator should know. */
  readonly notices: readonly string[];
}

/**
 * Errors: `invalid_argument` for sizes that are not possible and paths that are no block devices, `not_found`,
 * `already_exists` and `failed_precondition` for what is in use or holds something.
 */
export const checkPlan = (plan: PoolPlan): Promise<CheckedPlan> =>
  plan.storage.kind === "loopback" ? checkLoopback(plan, plan.storage) : checkDevices(plan, plan.storage);

type Planned<Kind extends PlannedStorage["kind"]> = Extract<PlannedStorage, { readonly kind: Kind }>;

async function checkLoopback(plan: PoolPlan, storage: Planned<"loopback">): Promise<CheckedPlan> {
  const directory = await realpath(storage.directory);
  const files = filesIn(directory);
  if (plan.existing === "adopt") {
    throw invalidArgument("a pool in files is adopted with its files as devices: attach them with losetup first");
  }
  for (const file of [files.data, files.metadata]) {
    if (existsSync(file)) throw alreadyExists(`${file} exists: choose another directory, or delete it if it can go`);
  }
  const blockBytes = plan.blockBytes ?? defaultBlockBytes;
  const dataBytes = wholeBlocks(storage.dataBytes, blockBytes) * blockBytes;
  const metadataBytes = storage.metadataBytes ?? roomyMetadataBytes(dataBytes, blockBytes);
  if (metadataBytes % metadataBlockBytes !== 0) {
    throw invalidArgument(`metadata of ${metadataBytes} bytes is no whole number of ${metadataBlockBytes}-byte blocks`);
  }
  const notices = checkSizes(plan, dataBytes, metadataBytes, blockBytes);
  const made = { kind: "loopback", directory, dataBytes, metadataBytes } as const;
  return { definition: definitionOf(plan, made, dataBytes, blockBytes), formats: true, notices };
}

async function checkDevices(plan: PoolPlan, storage: Planned<"devices">): Promise<CheckedPlan> {
  const named = {
    kind: "devices",
    dataDevice: resolve(storage.dataDevice),
    metadataDevice: resolve(storage.metadataDevice),
  } as const;
  const data = await requireUnused(named.dataDevice);
  const metadata = await requireUnused(named.metadataDevice);
  if (data.number === metadata.number) throw invalidArgument(`${data.path} and ${metadata.path} are the same device`);
  const content = await readMetadataContent(metadata.path);
  await requireMakeable(plan, data, metadata, content);
  const adopted = plan.existing === "adopt" && content.kind === "thin-pool" ? content.superblock : undefined;
  const blockBytes =
    adopted === undefined ? (plan.blockBytes ?? defaultBlockBytes) : adopted.dataBlockSectors * sectorBytes;
  const notices = checkSizes(plan, data.sizeBytes, metadata.sizeBytes, blockBytes);
  return {
    definition: definitionOf(plan, named, data.sizeBytes, blockBytes),
    formats: adopted === undefined,
    notices: [...notices, ...[data.path, metadata.path].flatMap(namingNotice)],
  };
}

async function requireUnused(path: string): Promise<BlockDevice> {
  const device = await inspectBlockDevice(path);
  if (await isInUse(await realpath(path))) {
    throw failedPrecondition(`${path} cannot become a pool's: it is ${describeUse(await holdersOf(path))}`);
  }
  return device;
}

async function requireMakeable(plan: PoolPlan, data: BlockDevice, metadata: BlockDevice, content: MetadataContent) {
  switch (plan.existing ?? "refuse") {
    case "wipe":
      return;
    case "adopt":
      if (content.kind === "thin-pool") return;
      throw failedPrecondition(`${metadata.path} does not hold the metadata of a thin-pool: there is nothing to adopt`);
    case "refuse":
      break;
  }
  if (content.kind === "thin-pool") {
    throw alreadyExists(
      `${metadata.path} holds a thin-pool already: --adopt takes it with its content, --force wipes it`,
    );
  }
  for (const device of [metadata, data]) {
    const known = await knownContentOf(device.path);
    if (known === undefined && (device === data || content.kind === "empty")) continue;
    const what = known ?? "something that is not known";
    throw failedPrecondition(`${device.path} is not empty (it holds ${what}): --force overwrites it`);
  }
}

/** Throws `invalid_argument` for impossible sizes; returns notices about unwise ones. */
function checkSizes(plan: PoolPlan, dataBytes: number, metadataBytes: number, blockBytes: number): string[] {
  blockSectorsOf(blockBytes);
  if (wholeBlocks(dataBytes, blockBytes) < 1) {
    throw invalidArgument(`${dataBytes} bytes of data are less than one block of ${blockBytes} bytes`);
  }
  if (metadataBytes < minMetadataBytes) {
    throw invalidArgument(`metadata of ${metadataBytes} bytes is too small: at least ${minMetadataBytes} are needed`);
  }
  if (plan.lowWaterBytes !== undefined && plan.lowWaterBytes > dataBytes) {
    throw invalidArgument(`a low-water mark of ${plan.lowWaterBytes} bytes is more than the pool has (${dataBytes})`);
  }
  const neededBytes = neededMetadataBytes(dataBytes, blockBytes);
  return metadataBytes < neededBytes
    ? [
        `metadata of ${formatSize(metadataBytes)} is little for ${formatSize(dataBytes)} of data: ` +
          `the kernel's documentation asks for ${formatSize(neededBytes)}`,
      ]
    : [];
}

function definitionOf(
  plan: PoolPlan,
  storage: PoolDefinition["storage"],
  dataBytes: number,
  blockBytes: number,
): PoolDefinition {
  return {
    pool: plan.pool,
    storage,
    blockSectors: blockSectorsOf(blockBytes),
    lowWaterBlocks:
      plan.lowWaterBytes === undefined
        ? defaultLowWaterBlocks(dataBytes, blockBytes)
        : Math.ceil(plan.lowWaterBytes / blockBytes),
    whenFull: plan.whenFull ?? "error",
  };
}

/** Names that another device may have after a reboot. */
const namingNotice = (path: string): string[] =>
  /^\/dev\/(sd[a-z]+\d*|vd[a-z]+\d*|nvme\w+|dm-\d+|loop\d+)$/.test(path)
    ? [`${path} may be another device after a reboot: a name below /dev/disk/by-id or /dev/mapper stays`]
    : [];
