// Room: domain. Owns the one error class of the project, and its encoding for the queue.

/** The closed set of codes: gRPC's names, so that an API maps them one to one. */
export const errorCodes = [
  "invalid_argument",
  "not_found",
  "already_exists",
  "failed_precondition",
  "resource_exhausted",
  "unavailable",
  "aborted",
  "deadline_exceeded",
  "internal",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** An error with a code, and a message that names what failed and how to fix it. */
export class SnapmillError extends Error {
  override readonly name = "SnapmillError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const constructorOf = (code: ErrorCode) => (message: string, cause?: unknown) =>
  new SnapmillError(code, message, cause === undefined ? undefined : { cause });

export const invalidArgument = constructorOf("invalid_argument");
export const notFound = constructorOf("not_found");
export const alreadyExists = constructorOf("already_exists");
export const failedPrecondition = constructorOf("failed_precondition");
export const resourceExhausted = constructorOf("resource_exhausted");
export const unavailable = constructorOf("unavailable");
export const aborted = constructorOf("aborted");
export const deadlineExceeded = constructorOf("deadline_exceeded");
export const internal = constructorOf("internal");

export const isSnapmillError = (error: unknown, code?: ErrorCode): error is SnapmillError =>
  error instanceof SnapmillError && (code === undefined || error.code === code);

/** Any thrown value as a SnapmillError; one without a code becomes `internal`. */
export function asSnapmillError(error: unknown): SnapmillError {
  if (error instanceof SnapmillError) return error;
  // The runtime's own functions throw this for an aborted signal; the cause is the signal's reason.
  if (error instanceof Error && error.name === "AbortError") {
    return error.cause instanceof SnapmillError ? error.cause : aborted(error.message, error);
  }
  const message = error instanceof Error ? error.message : String(error);
  return new SnapmillError("internal", message, { cause: error });
}

/** Whether the same operation may succeed when it is tried again later, unchanged. */
export function isRetryable(code: ErrorCode): boolean {
  switch (code) {
    case "unavailable":
    case "aborted":
      return true;
    case "invalid_argument":
    case "not_found":
    case "already_exists":
    case "failed_precondition":
    case "resource_exhausted":
    case "deadline_exceeded":
    case "internal":
      return false;
  }
}

const wirePrefix = "snapmill:";

/** A failure as one string: BullMQ returns nothing of an error but its message. */
export function encodeFailure(error: unknown): string {
  const { code, message } = asSnapmillError(error);
  return wirePrefix + JSON.stringify({ code, message });
}

/** The failure in `text`; text that snapmill did not write (of a stalled job, for example) becomes `internal`. */
export function decodeFailure(text: string): SnapmillError {
  if (!text.startsWith(wirePrefix)) return internal(text);
  try {
    const parsed: unknown = JSON.parse(text.slice(wirePrefix.length));
    if (typeof parsed === "object" && parsed !== null && "code" in parsed && "message" in parsed) {
      const code = errorCodes.find((candidate) => candidate === parsed.code);
      if (code !== undefined) return new SnapmillError(code, String(parsed.message));
    }
  } catch {
    // It is not our encoding: falls through.
  }
  return internal(text);
}
