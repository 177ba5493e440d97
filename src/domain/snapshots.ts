// Room: domain. Owns what a snapshot is, and the rules for its labels.
import { invalidArgument } from "./errors.ts";
import type { Scope, SnapshotKey } from "./identifiers.ts";

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

/** Space that a snapshot holds of its own (its parent's not counted) and the inodes, as far as they are known. */
export interface Usage {
  readonly sizeBytes: number;
  readonly inodes: number;
}

/** What a caller hands to mount(2) to see a snapshot. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** containerd's limit for one label: key and value together. */
export const maxLabelBytes = 4096;

/** Labels as given, checked; throws invalid_argument naming the label that is too long. */
export function checkLabels(labels: Labels): Labels {
  for (const [name, value] of Object.entries(labels)) {
    if (name === "") throw invalidArgument("a label's name must not be empty");
    const lengthBytes = Buffer.byteLength(name) + Buffer.byteLength(value);
    if (lengthBytes > maxLabelBytes) {
      throw invalidArgument(
        `label ${JSON.stringify(name.slice(0, 64))} has ${lengthBytes} bytes with its value; the limit is ${maxLabelBytes}`,
      );
    }
  }
  return labels;
}

/** Labels that snapmill gives a meaning to. */
export const labelNames = {
  /** Size of this snapshot's device, a size like "20GiB"; never below its parent's. */
  maxSize: "containerd.io/snapshot/max-size",
  /** Set by snapmill, for people and for containerd: the truth stands with the device. */
  fsType: "containerd.io/snapshot/devmapper/fstype",
  /** Given to a prepare by containerd: the chain ID of the layer that is about to be unpacked into it. */
  snapshotRef: "containerd.io/snapshot.ref",
  /** On the active snapshot of a running unpack: the chain ID that it will be committed as. */
  unpackChain: "snapmill.io/unpack.chain-id",
  /** On a committed layer: the image that brought it, for people. */
  unpackImage: "snapmill.io/unpack.image",
  /** On a committed layer: the length of its uncompressed tar in bytes. */
  unpackBytes: "snapmill.io/unpack.bytes",
  /** On a view that `snapmill mount` made for the occasion: the directory it is mounted on. */
  mountedOn: "snapmill.io/mounted-on",
} as const;

const inheritedPrefix = "containerd.io/snapshot/";

/** Of a prepare's labels, those that containerd wants on what becomes of it: the layer's name, and `containerd.io/snapshot/*`. */
export const inheritedLabels = (labels: Labels): Labels =>
  Object.fromEntries(
    Object.entries(labels).filter(([name]) => name === labelNames.snapshotRef || name.startsWith(inheritedPrefix)),
  );
