// Room: client. Owns what goes wrong between a client and its snapmill: problems as errors, and connections that fail.
import { type ErrorCode, errorCodes, SnapmillError } from "../domain/errors.ts";

/** A problem (RFC 9457) as a snapmill sends it. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** gRPC's name of the failure. */
  readonly code: string;
  readonly wayOut: string;
  readonly operationId?: string;
}

interface Facts {
  readonly problem?: ProblemDocument | undefined;
  readonly operationId?: string | undefined;
  readonly repeatAs?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly mayPass?: boolean | undefined;
  readonly place?: string | undefined;
  readonly cause?: unknown;
}

/** A failure of a call: the operation's own, or one on the way. */
export class ApiError extends SnapmillError {
  /** The answer's status; undefined: there was no answer. */
  readonly status: number | undefined;
  /** gRPC's name; also of refusals that no operation knows (`unauthenticated`, `permission_denied`, `unimplemented`). */
  readonly reason: string;
  readonly wayOut: string | undefined;
  /** Of a change that the server knows: `getOperation` tells its state. */
  readonly operationId: string | undefined;
  /** Of a change: as its `operationId`, the same request can be sent again, and has one effect. */
  readonly repeatAs: string | undefined;
  readonly problem: ProblemDocument | undefined;
  /** How long the server asks to wait before the next attempt. */
  readonly retryAfterMs: number | undefined;
  /** Whether the same request may succeed in a moment. */
  readonly mayPass: boolean;
  /** The path of the operation that this one repeats, and which is under way. */
  readonly place: string | undefined;

  constructor(code: ErrorCode, message: string, { problem, cause, ...facts }: Facts = {}) {
    super(code, message, cause === undefined ? undefined : { cause });
    this.status = problem?.status;
    this.reason = problem?.code ?? code;
    this.wayOut = problem?.wayOut;
    this.operationId = problem?.operationId ?? facts.operationId;
    this.repeatAs = facts.repeatAs;
    this.problem = problem;
    this.retryAfterMs = facts.retryAfterMs;
    this.mayPass = facts.mayPass ?? false;
    this.place = facts.place;
  }
}

/** Kinds of problems whose sentence says nothing of the way out: those of the door, not of an operation. */
const doorProblems = /:(?:unauthenticated|forbidden|misdirected|too-many-requests|no-such-route)$/;

export function problemError(problem: ProblemDocument, host: string, headers: Headers): ApiError {
  const isDoor = doorProblems.test(problem.type);
  const message = isDoor ? `${host}: ${problem.detail}: ${wayOutOf(problem)}` : problem.detail;
  return new ApiError(codeOf(problem.code), message, {
    problem,
    operationId: headers.get("operation-id") ?? undefined,
    retryAfterMs: retryAfterMs(headers.get("retry-after")),
    mayPass: problem.status === 429 || problem.status === 503,
    place: problem.type.endsWith(":still-running") ? (headers.get("location") ?? undefined) : undefined,
  });
}

const wayOutOf = ({ code, wayOut }: ProblemDocument): string =>
  code === "unauthenticated" ? "set SNAPMILL_TOKEN to a token of 'snapmill token create' on that host" : wayOut;

const codeOf = (code: string): ErrorCode => errorCodes.find((known) => known === code) ?? "failed_precondition";

export function retryAfterMs(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined;
}

/** What a caller gave that cannot be sent. */
export const invalid = (message: string): ApiError => new ApiError("invalid_argument", message);

/** Something answers, and it is no snapmill. */
export const notSnapmill = (host: string, what: string): ApiError =>
  new ApiError("failed_precondition", `what answers at ${host} is not a snapmill (${what}): check SNAPMILL_HOST`);

/** In the error codes of Bun and OpenSSL for a certificate that is not trusted. */
const certificateCode = /CERT|SIGNATURE|ISSUER|ALTNAME|SELF_SIGNED/;

/** What went wrong with a connection, and the way out, by the code of the runtime's error. */
const connectionTexts: Readonly<Record<string, string>> = {
  ConnectionRefused: "nothing answers there: start 'snapmill up' on that host, or check the address",
  ECONNREFUSED: "nothing answers there: start 'snapmill up' on that host, or check the address",
  FailedToOpenSocket: "nothing answers there: start 'snapmill up' on that host, or check the address",
  ENOENT: "there is no such socket: start 'snapmill up', or check the path",
  EACCES: "this user may not use the socket: only the user that runs snapmill may",
  ENOTFOUND: "there is no such host: check the name",
  ECONNRESET: "the connection was cut: try again",
  ConnectionClosed: "the connection was cut: try again",
};

/** The failure of a `fetch`. */
export function connectionError(host: string, error: unknown): ApiError {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const facts = { cause: error };
  if (certificateCode.test(code)) {
    const advice =
      code === "ERR_TLS_CERT_ALTNAME_INVALID"
        ? "use a name that the certificate has"
        : "give its authority's certificate in SNAPMILL_CA";
    return new ApiError("failed_precondition", `the certificate of ${host} is not trusted (${code}): ${advice}`, facts);
  }
  if (code === "EPROTO" || /WRONG_VERSION|SSL/.test(code)) {
    const message = `${host} does not speak TLS: check SNAPMILL_HOST (http:// is for this machine only)`;
    return new ApiError("failed_precondition", message, facts);
  }
  const text = connectionTexts[code] ?? `the connection failed (${code || "unknown error"}): try again`;
  return new ApiError("unavailable", `snapmill at ${host} cannot be reached; ${text}`, { ...facts, mayPass: true });
}
