// Room: api. Owns the conversion of errors to gRPC statuses: code and message.
import { status as grpcStatus } from "@grpc/grpc-js";
import { asSnapmillError, type ErrorCode, type SnapmillError, unavailable } from "../../domain/errors.ts";

/** The status of a failed call. containerd maps the code to the error class of the same name. */
export interface Status {
  readonly code: number;
  readonly details: string;
}

/** The message is sent percent-encoded in a header, whose length is limited. */
const maxDetailsCharacters = 2048;

export function statusOf(error: SnapmillError): Status {
  return { code: codeOf(error.code), details: error.message.slice(0, maxDetailsCharacters).toWellFormed() };
}

/** Converts any thrown value to a SnapmillError. A locked database is `unavailable`: a retry helps. */
export function asCallFailure(error: unknown): SnapmillError {
  if (error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY")) {
    return unavailable(`the pool's database is busy (${error.message}): try again`, error);
  }
  return asSnapmillError(error);
}

function codeOf(code: ErrorCode): number {
  switch (code) {
    case "invalid_argument":
      return grpcStatus.INVALID_ARGUMENT;
    case "not_found":
      return grpcStatus.NOT_FOUND;
    case "already_exists":
      return grpcStatus.ALREADY_EXISTS;
    case "failed_precondition":
      return grpcStatus.FAILED_PRECONDITION;
    case "resource_exhausted":
      return grpcStatus.RESOURCE_EXHAUSTED;
    case "unavailable":
      return grpcStatus.UNAVAILABLE;
    case "aborted":
      return grpcStatus.ABORTED;
    case "deadline_exceeded":
      return grpcStatus.DEADLINE_EXCEEDED;
    case "internal":
      return grpcStatus.INTERNAL;
  }
}
