// Room: jobs. Owns the handlers of jobs, and the checks before and after each one runs.
import { invalidArgument } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import {
  forJournaledJobs,
  type JobName,
  type JournaledJobName,
  type JournaledVerbs,
  type Payload,
  type PoolJobName,
  parsePayload,
  parseResult,
  type Result,
  requestOf,
  type UnpackJobName,
} from "../contract.ts";
import type { JobContext } from "./job-context.ts";

/**
 * Executes a job. It may run twice for one operation ID, even at the same time in two processes (when a worker hangs, its
 * job is given to another one): it must have one effect, and answer the same. What it throws is the job's failure; if the
 * code is retryable, the job is tried again later, behind others.
 */
export type Handler<Name extends JobName> = (payload: Payload<Name>, job: JobContext) => Promise<Result<Name>>;

type Handlers<Names extends JobName> = { readonly [Name in Names]: Handler<Name> };

/** A handler for every job of the pool's worker: if one is missing, it does not compile. */
export type PoolHandlers = Handlers<PoolJobName>;
/** The same for the unpack workers. */
export type UnpackHandlers = Handlers<UnpackJobName>;

/** A handler for every journaled job: it calls the job's verb. */
export function journaledHandlers(verbs: JournaledVerbs): Handlers<JournaledJobName> {
  const handler =
    <Name extends JournaledJobName>(name: Name): Handler<Name> =>
    (payload) =>
      verbs[name](payload.operationId, requestOf<Name>(payload));
  return forJournaledJobs<Handlers<JournaledJobName>>(handler);
}

/** A handler with its checks. */
export type Runner = (given: unknown, job: JobContext) => Promise<unknown>;
export type Runners = ReadonlyMap<string, Runner>;

export function runnersOf<Names extends JobName>(
  names: readonly Names[],
  pool: PoolName,
  handlers: Handlers<Names>,
): Runners {
  const runner = <Name extends Names>(name: Name) => runnerOf(name, pool, handlers[name]);
  return new Map(names.map((name) => [name, runner(name)]));
}

function runnerOf<Name extends JobName>(name: Name, pool: PoolName, handler: Handler<Name>): Runner {
  return async (given, job) => {
    const payload = parsePayload(name, given);
    requireOwn(payload, pool, job);
    return parseResult(name, await handler(payload, job));
  };
}

/** A job that was put into Redis by other means than the client may carry another pool or operation. */
function requireOwn(payload: Payload<JobName>, pool: PoolName, { operationId }: JobContext): void {
  if (payload.pool !== pool) throw invalidArgument(`this job is for pool ${payload.pool}, and came to ${pool}`);
  if (payload.operationId !== operationId) {
    throw invalidArgument(`this job's payload is of operation ${payload.operationId}, its ID is ${operationId}`);
  }
}
