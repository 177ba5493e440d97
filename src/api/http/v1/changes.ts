// Room: api. Owns the changes: each under its operation ID, done once however often it is asked for, and waited for or not.
import { createHash } from "node:crypto";
import type { Context } from "hono";
import { abortReason } from "../../../domain/cancellation.ts";
import { invalidArgument } from "../../../domain/errors.ts";
import { freshOperationId, type OperationId, operationId, type PoolName } from "../../../domain/identifiers.ts";
import { inTime } from "../../../domain/timers.ts";
import type { OperationName, Runnable } from "../../../service/api.ts";
import type { Host } from "../../../service/host.ts";
import { getOperation } from "../../../service/operation-state.ts";
import type { Beginning } from "../../../service/operation-tracker.ts";
import type { Answer, Tracked, WorkOptions } from "../../../service/tracked.ts";
import type { ChangeRecord } from "../audited.ts";
import { json } from "./answers.ts";
import { outcomeOf } from "./audited.ts";
import type { Caller, V1Env } from "./caller.ts";
import { type Endpoint, operationPath } from "./endpoints.ts";
import { longestWaitMs, preferredWaitMs } from "./preferences.ts";
import { Problem } from "./problems.ts";

export interface Change {
  readonly name: OperationName;
  readonly kind: Endpoint["kind"];
  readonly operation: Runnable;
  /** What it acts on: `pool`, or the host. */
  readonly target: unknown;
  readonly pool: PoolName | undefined;
  readonly given: unknown;
}

/** Time for the answer itself, after the wait. */
const graceSeconds = 15;

/** Runs a change, and answers when it has ended, or with its place. */
export async function answerChange(context: Context<V1Env>, host: Host, change: Change): Promise<Response> {
  const caller = context.get("caller");
  const { name } = change;
  const key = context.req.header("idempotency-key");
  const id = operationIdOf(caller, key);
  caller.operationId = id;
  const preferredMs = preferredWaitMs(context.req.header("prefer"));
  const waitMs = preferredMs ?? (change.kind === "long" ? 0 : longestWaitMs);
  const { tokenName } = caller;
  const begun = beginChange(host, change, { id, isKeyed: key !== undefined, tokenName, record: context.get("change") });
  switch (begun.kind) {
    case "other":
      throw new Problem("key_reused", `the Idempotency-Key was used before, for ${begun.operation}`);
    case "unknown":
      throw new Problem("end_unknown", `the snapmill that ran ${name} ${id} ended before it did`);
    case "running":
      throw new Problem("still_running", `${name} ${id} is under way`, {
        location: operationPath(id),
        "retry-after": "1",
      });
    case "ended":
      return answered(id, begun.answer);
    case "begun":
      context.env.keepOpen?.(waitMs / 1000 + graceSeconds);
      try {
        // Nobody gets the answer: what has not begun need not happen. An operation that has a place goes on without caller.
        const isTheirs = preferredMs === undefined && change.kind === "change";
        if (await endsWithin(begun.tracked, waitMs, caller.signal, isTheirs)) {
          return answered(id, await begun.tracked.ended);
        }
        return await accepted(host, id, preferredMs);
      } finally {
        // Otherwise the connection would have this time for whatever comes next, or nothing.
        context.env.keepOpen?.();
      }
  }
}

export interface Beginner {
  readonly id: OperationId;
  /** Whether the caller knows the ID, and may ask again with it. */
  readonly isKeyed: boolean;
  readonly tokenName: string;
  /** Undefined: it is not recorded. */
  readonly record: ChangeRecord | undefined;
}

/** Begins a change, unless its ID was used before; what it does is in the audit log before and after. */
export function beginChange(host: Host, change: Change, { id, isKeyed, tokenName, record }: Beginner): Beginning {
  const { name, pool, given, operation, target } = change;
  const { recovery } = operation;
  const run = (options: WorkOptions) => operation.run(target, given, { ...options, caller: tokenName });
  return host.operations.begin(
    { operationId: id, isKeyed, tokenName, operation: name, pool, recovery },
    given,
    (options) => record?.around({ given, operationId: id }, () => run(options), outcomeOf) ?? run(options),
  );
}

/** Whether it ends in time; `isTheirs`: it is given up when its caller leaves. */
async function endsWithin(tracked: Tracked, waitMs: number, caller: AbortSignal, isTheirs: boolean): Promise<boolean> {
  const { promise: left, resolve } = Promise.withResolvers<void>();
  const leave = () => {
    const reason = abortReason(caller);
    if (isTheirs && reason !== undefined) tracked.cancel(reason);
    resolve();
  };
  caller.addEventListener("abort", leave, { once: true });
  if (caller.aborted) leave();
  try {
    // Its timer ends with it: one of a minute for each change would pile up.
    await inTime(waitMs, Promise.race([tracked.ended, left]));
    return tracked.answer !== undefined;
  } finally {
    caller.removeEventListener("abort", leave);
  }
}

function answered(id: OperationId, answer: Answer): Response {
  if (answer.outcome === "failure") throw answer.failure;
  return json(answer.result, { headers: { "operation-id": id } });
}

async function accepted(host: Host, id: OperationId, preferredMs: number | undefined): Promise<Response> {
  const headers = {
    location: operationPath(id),
    "operation-id": id,
    "retry-after": "1",
    ...(preferredMs !== undefined && {
      "preference-applied": preferredMs === 0 ? "respond-async" : `wait=${preferredMs / 1000}`,
    }),
  };
  return json(await getOperation(host, { operationId: id }), { status: 202, headers });
}

const maxKeyCharacters = 512;

/**
 * Any text becomes an operation ID by its hash. The caller's name is part of it: "1" of one token is not "1" of another,
 * who would otherwise be shown the first one's answer.
 */
function operationIdOf({ tokenName }: Caller, key: string | undefined): OperationId {
  if (key === undefined) return freshOperationId();
  if (key === "" || key.length > maxKeyCharacters) {
    throw invalidArgument(`the Idempotency-Key has ${key.length} characters: give 1 to ${maxKeyCharacters}`);
  }
  const hash = createHash("sha256")
    .update(JSON.stringify([tokenName, key]))
    .digest("hex");
  return operationId(`key-${hash.slice(0, 40)}`);
}
