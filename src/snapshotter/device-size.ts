// Room: snapshotter. Owns how large a new snapshot's device is.
import type { FsType } from "../domain/devices.ts";
import { invalidArgument } from "../domain/errors.ts";
import { type Labels, labelNames } from "../domain/snapshots.ts";
import { formatSize, parseSize } from "../domain/units.ts";

const mebibyte = 2 ** 20;

/** Below these sizes, mkfs.xfs refuses, and ext4 has next to no room beside its journal. */
const smallestBytes: Readonly<Record<FsType, number>> = { ext4: 16 * mebibyte, xfs: 300 * mebibyte };

export interface SizeRequest {
  readonly fsType: FsType;
  readonly labels: Labels;
  /** Size of the parent; a child is never smaller. */
  readonly parentBytes: number | undefined;
  /** Size of a base without a label. */
  readonly defaultBytes: number;
  /** The largest size that a label can ask for. */
  readonly maxBytes: number;
}

/** The device's size in bytes, a multiple of 1 MiB. Throws invalid_argument for a label that is no size, too small or too large. */
export function deviceSizeFor({ fsType, labels, parentBytes, defaultBytes, maxBytes }: SizeRequest): number {
  const label = labels[labelNames.maxSize];
  if (label === undefined || label === "") return parentBytes ?? wholeMebibytes(defaultBytes);
  const askedBytes = wholeMebibytes(parseSize(label));
  if (parentBytes === undefined && askedBytes < smallestBytes[fsType]) {
    throw invalidArgument(
      `label ${labelNames.maxSize}: ${label} is too small for ${fsType}, which takes at least ${formatSize(smallestBytes[fsType])}`,
    );
  }
  if (askedBytes > maxBytes && askedBytes > (parentBytes ?? 0)) {
    throw invalidArgument(
      `label ${labelNames.maxSize}: ${label} is more than a device may have here, ${formatSize(maxBytes)}: ` +
        `set SNAPMILL_MAX_DEVICE_SIZE (at most 16TiB) for 'snapmill up' to allow more`,
    );
  }
  return Math.max(parentBytes ?? 0, askedBytes);
}

const wholeMebibytes = (bytes: number): number => Math.ceil(bytes / mebibyte) * mebibyte;
