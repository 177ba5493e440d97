// Room: domain. Owns the branded identifiers and the parsing functions that make them.
import { invalidArgument } from "./errors.ts";
import { quoted } from "./quoted.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** One client's key space. */
export type Scope = Branded<"Scope">;
/** The name of a pool: also a file name, part of a queue name, and the prefix of device names. */
export type PoolName = Branded<"PoolName">;
/** Names an active or view snapshot (its key) or a committed one (its name): one space per scope. */
export type SnapshotKey = Branded<"SnapshotKey">;
/** Chosen by the caller; makes an operation idempotent. It is also the job's ID in the queue. */
export type OperationId = Branded<"OperationId">;
/** Names a batch, in every pool that it was given to. */
export type BatchId = Branded<"BatchId">;
/** Digest of a blob as it is stored: `sha256:<64 hex digits>`. */
export type Digest = Branded<"Digest">;
/** Digest of a layer's uncompressed tar. */
export type DiffId = Branded<"DiffId">;
/** Digest that names a stack of layers (OCI image specification, "Layer ChainID"). */
export type ChainId = Branded<"ChainId">;
/** `<pool>-snap-<number>`; never reused. */
export type DeviceName = Branded<"DeviceName">;
/** A block device's number within its pool, 24 bit. */
export type DeviceId = number & { readonly [brand]: "DeviceId" };

export const maxDeviceId = 2 ** 24 - 1;

function matching<Name extends string>(what: string, pattern: RegExp, rule: string) {
  return (text: string): Branded<Name> => {
    if (!pattern.test(text)) throw invalidArgument(`${what} ${quoted(text)} is not valid: ${rule}`);
    return text as Branded<Name>;
  };
}

export const poolName = matching<"PoolName">(
  "pool name",
  /^[a-z0-9]([a-z0-9_.-]{0,46}[a-z0-9])?$/,
  "use 1 to 48 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends",
);

export const scope = matching<"Scope">(
  "scope",
  /^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$/,
  "use 1 to 128 of letters, digits, '.', '_', '-' and '/'",
);

/** Any UTF-8 without a NUL, 1 to 1,024 bytes: containerd's keys contain slashes and spaces. */
export function snapshotKey(text: string): SnapshotKey {
  const lengthBytes = Buffer.byteLength(text);
  if (lengthBytes === 0) throw invalidArgument("a snapshot's key or name must not be empty");
  if (lengthBytes > 1024)
    throw invalidArgument(`a snapshot's key or name has at most 1024 bytes, this one ${lengthBytes}`);
  if (text.includes("\0")) throw invalidArgument("a snapshot's key or name must not contain a NUL character");
  return text as SnapshotKey;
}

/** BullMQ allows no `:` in a job's ID and no ID of digits only; ours start with a letter. */
export const operationId = matching<"OperationId">(
  "operation ID",
  /^[A-Za-z][A-Za-z0-9_.-]{7,127}$/,
  "use 8 to 128 of letters, digits, '.', '_' and '-', with a letter first",
);

export const freshOperationId = (): OperationId => operationId(`op-${crypto.randomUUID()}`);

export const batchId = matching<"BatchId">(
  "batch ID",
  /^[a-z][a-z0-9-]{2,62}[a-z0-9]$/,
  "use 4 to 64 of a-z, 0-9 and '-', with a letter first and no '-' at the end",
);

/** Short, since people type it: 48 bits of chance. */
export const freshBatchId = (): BatchId => batchId(`b-${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`);

const sha256Pattern = /^sha256:[0-9a-f]{64}$/;
const sha256Rule = "only sha256:<64 hex digits, in lower case> is supported";
export const digest = matching<"Digest">("digest", sha256Pattern, sha256Rule);
export const diffId = matching<"DiffId">("diff ID", sha256Pattern, sha256Rule);
export const chainId = matching<"ChainId">("chain ID", sha256Pattern, sha256Rule);
export const isChainId = (text: string): text is ChainId => sha256Pattern.test(text);

export function deviceId(value: number): DeviceId {
  if (!Number.isInteger(value) || value < 0 || value > maxDeviceId) {
    throw invalidArgument(`device ID ${value} is not a whole number from 0 to ${maxDeviceId}`);
  }
  return value as DeviceId;
}

/** The name of some pool's device. */
export const parseDeviceName = matching<"DeviceName">(
  "device name",
  /^[a-z0-9][a-z0-9_.-]*-snap-[1-9]\d{0,14}$/,
  "it is <pool>-snap-<number>",
);

export const deviceName = (pool: PoolName, serial: number): DeviceName => `${pool}-snap-${serial}` as DeviceName;

/** The number in the name of a device of `pool`; undefined when the name is not one of this pool's. */
export function deviceNumber(pool: PoolName, name: DeviceName): number | undefined {
  const prefix = `${pool}-snap-`;
  const digits = name.startsWith(prefix) ? name.slice(prefix.length) : "";
  return /^[1-9]\d{0,14}$/.test(digits) ? Number(digits) : undefined;
}

/** The chain ID of `layer` on `parent`, as the OCI image specification computes it. */
export function childChainId(parent: ChainId | undefined, layer: DiffId): ChainId {
  if (parent === undefined) return chainId(layer);
  return chainId(`sha256:${new Bun.CryptoHasher("sha256").update(`${parent} ${layer}`).digest("hex")}`);
}

/** snapmill's own scope. */
export const ownScope = scope("snapmill");

/** The scope of clients on containerd's socket. It is not snapmill's: containerd's collector removes what it does not know. */
export const containerdScope = scope("containerd");
