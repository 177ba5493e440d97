// Room: domain. Owns what a snapshot is, and the rules for its labels.
import type { FsType } from "./devices.ts";
import { invalidArgument } from "./errors.ts";
import type { Scope, SnapshotKey } from "./identifiers.ts";
import { quoted } from "./quoted.ts";

export const snapshotKinds = ["view", "active", "committed"] as const;
export type SnapshotKind = (typeof snapshotKinds)[number];

export type Labels = Readonly<Record<string, string>>;

/** A snapshot as every reader sees it. `key` is the name of a committed one. Times are milliseconds since 1970. */
export interface Snapshot {
  readonly scope: Scope;
  readonly key: SnapshotKey;
  readonly kind: SnapshotKind;
  readonly parent: SnapshotKey | undefined;
  readonly labels: Labels;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** Space and inodes that a snapshot uses without its parent's, as far as they are known. */
export interface Usage {
  readonly sizeBytes: number;
  readonly inodes: number;
}

/** What a caller passes to mount(2) to mount a snapshot. */
export interface Mount {
  readonly type: FsType;
  readonly source: string;
  readonly options: readonly string[];
}

/** containerd's limit for one label: key and value together. */
export const maxLabelBytes = 4096;
/** Limits for one snapshot. containerd itself has none; its images and containers have a few dozen labels. */
export const maxLabels = 1024;
export const maxLabelBytesInAll = 256 * 1024;

/** Labels with any names, also those that every object has ("__proto__", "constructor"). */
export function labelsOf(entries: Iterable<readonly [string, string]>): Labels {
  const labels = Object.create(null) as Record<string, string>;
  for (const [name, value] of entries) labels[name] = value;
  return labels;
}

/** Returns `labels`; throws invalid_argument if there are too many, or for a label that is too long. */
export function checkLabels(labels: Labels): Labels {
  const entries = Object.entries(labels);
  if (entries.length > maxLabels) {
    throw invalidArgument(`a snapshot has at most ${maxLabels} labels, these are ${entries.length}`);
  }
  let bytesInAll = 0;
  for (const [name, value] of entries) {
    if (name === "") throw invalidArgument("a label's name must not be empty");
    if (name.includes("\0") || value.includes("\0")) {
      throw invalidArgument(`label ${quoted(name)} must not contain a NUL character`);
    }
    const lengthBytes = Buffer.byteLength(name) + Buffer.byteLength(value);
    bytesInAll += lengthBytes;
    if (lengthBytes > maxLabelBytes) {
      throw invalidArgument(
        `label ${quoted(name)} has ${lengthBytes} bytes with its value; the limit is ${maxLabelBytes}`,
      );
    }
  }
  if (bytesInAll > maxLabelBytesInAll) {
    throw invalidArgument(`a snapshot's labels have at most ${maxLabelBytesInAll} bytes in all, these ${bytesInAll}`);
  }
  return labels;
}

/** Labels that have a meaning for snapmill. */
export const labelNames = {
  /** Size of this snapshot's device, like "20GiB"; it is never smaller than its parent's. */
  maxSize: "containerd.io/snapshot/max-size",
  /** Set by snapmill for users and containerd; snapmill itself reads it from the device's record. */
  fsType: "containerd.io/snapshot/devmapper/fstype",
  /** Set by containerd on a prepare: the chain ID of the layer that is about to be unpacked into it. */
  snapshotRef: "containerd.io/snapshot.ref",
  /** On the active snapshot of a running unpack: the chain ID that it will be committed as. */
  unpackChain: "snapmill.io/unpack.chain-id",
  /** On a committed layer, for users: the image that it was unpacked for. */
  unpackImage: "snapmill.io/unpack.image",
  /** On a committed layer: the length of its uncompressed tar in bytes. */
  unpackBytes: "snapmill.io/unpack.bytes",
  /** On a committed layer: the unpack that committed it, which must not lose it before it has ended. */
  unpackOperation: "snapmill.io/unpack.operation",
  /** On a view that `snapmill mount` has made: the directory it is mounted on. */
  mountedOn: "snapmill.io/mounted-on",
} as const;

const inheritedPrefix = "containerd.io/snapshot/";

/** Those labels of a prepare that containerd expects on the committed snapshot: the layer's name, and `containerd.io/snapshot/*`. */
export const inheritedLabels = (labels: Labels): Labels =>
  labelsOf(
    Object.entries(labels).filter(([name]) => name === labelNames.snapshotRef || name.startsWith(inheritedPrefix)),
  );
