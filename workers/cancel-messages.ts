// Room: workers. Owns what an unpack worker and the thread that looks for cancellations say to each other.
import type { OperationId } from "../src/domain/identifiers.ts";

export interface CancelThreadOptions {
  readonly databasePath: string;
  /** How long the worker has from a cancellation to the end of the job. */
  readonly graceMs: number;
}

export type ToCancelThread =
  | { readonly type: "begun"; readonly operationId: OperationId }
  | { readonly type: "ended" }
  /** Ends the thread. */
  | { readonly type: "close" };

export type FromCancelThread =
  /** The first look at an operation has ended; it may have failed. */
  | { readonly type: "looked"; readonly operationId: OperationId }
  | { readonly type: "cancelled"; readonly operationId: OperationId }
  /** The database cannot be read, for the `failures`th time in a row; it is tried again `nextMs` later. */
  | { readonly type: "unreadable"; readonly failures: number; readonly nextMs: number; readonly reason: string };
