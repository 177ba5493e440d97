// Room: unpack. Owns the messages between an unpack worker and its writer process: one JSON object a line.
import type { FsType } from "../domain/devices.ts";
import type { ErrorCode } from "../domain/errors.ts";
import type { DiffId, Digest } from "../domain/identifiers.ts";
import type { SpaceSource } from "../system/file/space.ts";
import type { BlobSource } from "./blob-messages.ts";
import type { AppliedLayer } from "./layer.ts";
import type { PhaseTimes } from "./phases.ts";

export interface SpaceGuardRequest {
  readonly source: SpaceSource;
  /** Whose space it is, and so where space must be made. */
  readonly owner: "pool" | "host";
  readonly minFreeBytes: number;
}

/** Parent → writer: one request at a time. */
export type WriterRequest = ApplyRequest | ReleaseRequest;

/** Unmount what a layer has left mounted. */
export interface ReleaseRequest {
  readonly type: "release";
}

export interface CopyRequest {
  readonly from: string;
  /** Its directory is made. */
  readonly to: string;
}

/** Apply one layer to the file system on a block device. */
export interface ApplyRequest extends BlobSource {
  readonly devicePath: string;
  readonly fsType: FsType;
  readonly mountOptions: readonly string[];
  readonly digest: Digest;
  readonly diffId: DiffId;
  /** The writer stops with resource_exhausted when one of these (the pool, its host) has too little free. */
  readonly spaceGuards: readonly SpaceGuardRequest[];
  /** The device stays mounted, at rest, for the next layer; what is applied to another device unmounts it. */
  readonly keepsMount?: boolean | undefined;
  /** A copy of the device's content that is to be there afterwards, for `Driver.adopt`. */
  readonly copy?: CopyRequest | undefined;
  /** The layer that will probably come next: it is read and decompressed while this one is flushed. */
  readonly next?: BlobSource | undefined;
}

/** Writer → parent. */
export type WriterMessage =
  | { readonly type: "ready" }
  | ({ readonly type: "progress"; readonly readBytes: number; readonly isFlushing: boolean } & PhaseTimes)
  | ({ readonly type: "applied" } & AppliedLayer)
  | { readonly type: "released" }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string };
