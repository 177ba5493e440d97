// Room: api. Owns problems (RFC 9457): everything that /v1 refuses or fails with, in one table.
import { type ErrorCode, SnapmillError } from "../../../domain/errors.ts";
import type { OperationId } from "../../../domain/identifiers.ts";

/** gRPC's names: those of the project's errors, and those that only a door to the network needs. */
export type ProblemCode = ErrorCode | "unauthenticated" | "permission_denied" | "unimplemented";

interface Kind {
  readonly status: number;
  readonly code: ProblemCode;
  readonly title: string;
  /** What a caller can do; `detail` may say more. */
  readonly wayOut: string;
}

/** One kind for each code of a failed operation, then those of HTTP itself. A kind's `type` is its name as a URN. */
export const problemKinds = {
  invalid_argument: {
    status: 400,
    code: "invalid_argument",
    title: "The request is not valid",
    wayOut: "correct what the detail names, and send the request again",
  },
  not_found: {
    status: 404,
    code: "not_found",
    title: "There is no such thing",
    wayOut: "list what exists, and check the name and its scope",
  },
  already_exists: {
    status: 409,
    code: "already_exists",
    title: "It exists already",
    wayOut: "use what exists, remove it first, or choose another name",
  },
  failed_precondition: {
    status: 409,
    code: "failed_precondition",
    title: "The state of things does not allow it",
    wayOut: "change what the detail names, then send the request again",
  },
  resource_exhausted: {
    status: 507,
    code: "resource_exhausted",
    title: "There is no room",
    wayOut: "remove snapshots or images, or grow the pool",
  },
  aborted: {
    status: 409,
    code: "aborted",
    title: "It was given up",
    wayOut: "send the request again, with the same Idempotency-Key",
  },
  unavailable: {
    status: 503,
    code: "unavailable",
    title: "Something that is needed is away",
    wayOut: "send the request again in a moment, with the same Idempotency-Key",
  },
  deadline_exceeded: {
    status: 504,
    code: "deadline_exceeded",
    title: "It took too long",
    wayOut: "ask for the operation's state, or send the request again with the same Idempotency-Key",
  },
  internal: {
    status: 500,
    code: "internal",
    title: "snapmill has failed",
    wayOut: "look for the request's ID in the log of snapmill, and report it",
  },
  unauthenticated: {
    status: 401,
    code: "unauthenticated",
    title: "A token is needed",
    wayOut: "send the header 'Authorization: Bearer TOKEN'",
  },
  forbidden: {
    status: 403,
    code: "permission_denied",
    title: "The token does not allow this",
    wayOut: "use a token of the role 'operate'",
  },
  no_such_route: {
    status: 404,
    code: "not_found",
    title: "There is nothing at this address",
    wayOut: "see /v1/openapi.json for what there is; '/' within a key is sent as %2F",
  },
  method_not_allowed: {
    status: 405,
    code: "unimplemented",
    title: "This address has no such method",
    wayOut: "use a method that the header Allow lists",
  },
  body_too_large: {
    status: 413,
    code: "invalid_argument",
    title: "The body is too large",
    wayOut: "send at most 1 MiB",
  },
  unsupported_media_type: {
    status: 415,
    code: "invalid_argument",
    title: "The body is of another type",
    wayOut: "send JSON in UTF-8, with the header 'Content-Type: application/json'",
  },
  misdirected: {
    status: 421,
    code: "invalid_argument",
    title: "This server does not have that name",
    wayOut: "use its address, or add the name to SNAPMILL_HTTP_NAMES",
  },
  still_running: {
    status: 409,
    code: "aborted",
    title: "The first request with this Idempotency-Key is still under way",
    wayOut: "ask for the operation at the header Location until it has ended",
  },
  end_unknown: {
    status: 409,
    code: "failed_precondition",
    title: "What came of the first request with this Idempotency-Key is not known",
    wayOut: "look at what is there, and send what is still to be done with a fresh Idempotency-Key",
  },
  key_reused: {
    status: 422,
    code: "invalid_argument",
    title: "The Idempotency-Key was used for another request",
    wayOut: "choose a fresh key for another request",
  },
  too_many_requests: {
    status: 429,
    code: "resource_exhausted",
    title: "There are too many requests",
    wayOut: "wait as long as the header Retry-After says",
  },
  headers_too_large: {
    status: 431,
    code: "invalid_argument",
    title: "The headers are too large",
    wayOut: "send at most 16 KiB of headers",
  },
} as const satisfies Record<ErrorCode, Kind> & Record<string, Kind>;

export type ProblemKind = keyof typeof problemKinds;

/** A problem as it is sent. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly wayOut: string;
  readonly operationId?: OperationId | undefined;
}

/** A refusal of HTTP itself; what operations throw becomes a problem by its code. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly kind: ProblemKind;
  readonly headers: Readonly<Record<string, string>>;

  constructor(kind: ProblemKind, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.kind = kind;
    this.headers = headers;
  }
}

export const problemType = (kind: ProblemKind): string => `urn:snapmill:problem:${kind.replaceAll("_", "-")}`;

/** The answer to a request that failed with `error`. An error that is none of ours tells nothing of itself. */
export function problemResponse(error: unknown, operationId?: OperationId): Response {
  const kind = kindOf(error);
  const { status, code, title, wayOut } = problemKinds[kind];
  const document: ProblemDocument = {
    type: problemType(kind),
    title,
    status,
    detail: isOurs(error) ? error.message : "see the log of snapmill",
    code,
    wayOut,
    operationId,
  };
  const retryAfter = kind === "unavailable" ? { "retry-after": "1" } : {};
  const headers = error instanceof Problem ? error.headers : retryAfter;
  return new Response(JSON.stringify(document), {
    status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
  });
}

export function kindOf(error: unknown): ProblemKind {
  if (error instanceof Problem) return error.kind;
  return error instanceof SnapmillError ? error.code : "internal";
}

const isOurs = (error: unknown): error is Error => error instanceof Problem || error instanceof SnapmillError;
