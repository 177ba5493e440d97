// Room: api. Owns how a request is refused before its path counts: below /v1 by a problem, elsewhere by a line of text.
import type { Context } from "hono";
import { Problem, type ProblemKind, problemKinds, problemResponse } from "./v1/problems.ts";

/** With a Host that is none, Bun has no origin to put before the path. */
const belowV1 = /^(?:https?:\/\/[^/]*)?\/v1(?:[/?]|$)/;

export function refusal(
  { req }: Context,
  kind: ProblemKind,
  sentence: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  if (belowV1.test(req.url)) return problemResponse(new Problem(kind, sentence, headers));
  const { status } = problemKinds[kind];
  return new Response(`refused: ${sentence}\n`, { status, headers: { "content-type": "text/plain", ...headers } });
}
