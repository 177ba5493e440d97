// Room: api. Owns errors as pages: what is wrong, and the way out.
/** @jsxImportSource hono/jsx */
import { asSnapmillError, type ErrorCode } from "../../../domain/errors.ts";
import { kindOf, Problem, type ProblemKind, problemKinds } from "../v1/problems.ts";

/** Where a person does something else than a program. */
const wayOutForPeople: Partial<Record<ProblemKind, string>> = {
  invalid_argument: "go back, correct what the sentence names, and send it again",
  not_found: "look for it in the lists, or search for it",
  unavailable: "reload the page in a moment; 'snapmill status' says what is away",
  deadline_exceeded: "reload the page; what was begun goes on",
  aborted: "go back, and press the button again",
  internal: "look for the request's ID in the log of snapmill, and report it",
  unauthenticated: "sign in",
  forbidden: "sign in with a token of the role operate",
  no_such_route: "use the navigation or the search",
  unsupported_media_type: "send the form from its page",
  too_many_requests: "wait a moment, and reload the page",
};

/** After a button was pressed, on the page that it was on. */
const wayOutAfterButton: Partial<Record<ErrorCode, string>> = {
  invalid_argument: "correct what the sentence names, and press the button again",
  failed_precondition: "change what the sentence names, then press the button again",
  aborted: "press the button again",
  unavailable: "press the button again in a moment; the verdict says what is away",
  deadline_exceeded: "look at the operation: what was begun may go on",
};

export const wayOutOfFailure = (code: ErrorCode): string =>
  wayOutAfterButton[code] ?? wayOutForPeople[code] ?? problemKinds[code].wayOut;

/** Of a request from elsewhere, not of a role. */
const wayOutFromElsewhere =
  "reload the page that the button is on, and press it there; from another machine, serve HTTPS (SNAPMILL_HTTP_CERT)";

export interface ShownProblem {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly wayOut: string;
  readonly kind: ProblemKind;
}

export function shownProblem(error: unknown): ShownProblem {
  const failure = error instanceof Problem ? error : asSnapmillError(error);
  const kind = kindOf(failure);
  const { status, title, wayOut } = problemKinds[kind];
  const isOfRole = /has the role/.test(failure.message);
  const forPeople = kind === "forbidden" && !isOfRole ? wayOutFromElsewhere : (wayOutForPeople[kind] ?? wayOut);
  const detail = kind === "internal" ? "see the log of snapmill" : failure.message;
  return {
    status,
    title: kind === "forbidden" && !isOfRole ? "This request is refused" : title,
    detail,
    wayOut: forPeople,
    kind,
  };
}

export interface ProblemProps {
  readonly problem: ShownProblem;
  /** What to open again: a link from another site is refused, the same one from here is not. */
  readonly again?: string | undefined;
  readonly requestId?: string | undefined;
}

export const ProblemText = ({ problem, again, requestId }: ProblemProps) => (
  <div class="problem">
    <p>{problem.detail}.</p>
    <p>What to do: {problem.wayOut}.</p>
    {again === undefined ? null : (
      <p>
        <a href={again}>Open this page from here</a>
      </p>
    )}
    {problem.kind === "internal" && requestId !== undefined ? <p>Request {requestId}</p> : null}
  </div>
);
