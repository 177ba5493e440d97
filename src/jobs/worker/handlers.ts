// Room: jobs. Owns what a handler is, and what is checked before and after it runs.
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
  poolJobNames,
  type Result,
  requestOf,
} from "../contract.ts";
import type { JobContext } from "./job-context.ts";

/**
 * Executes a job. It may run twice for one operation ID, even at the same time in two processes (a job whose worker
 * hangs is given to another one): it must have one effect and the same answer. What it throws is the job's failure; with
 * a retryable code the job is tried again later, behind others.
 */
export type Handler<Name extends JobName> = (payload: Payload<Name>, job: JobContext) => Promise<Result<Name>>;

/** A handler for every job of a pool's queue: a missing one does not compile. */
export type PoolHandlers = { readonly [Name in PoolJobName]: Handler<Name> };

type JournaledHandlers = { readonly [Name in JournaledJobName]: Handler<Name> };

/** A handler for every journaled job, which does nothing but what its verb does. */
export function journaledHandlers(verbs: JournaledVerbs): JournaledHandlers {
  const handler =
    <Name extends JournaledJobName>(name: Name): Handler<Name> =>
    (payload) =>
      verbs[name](payload.operationId, requestOf<Name>(payload));
  return forJournaledJobs<JournaledHandlers>(handler);
}

/** A handler behind its checks. */
export type Runner = (given: unknown, job: JobContext) => Promise<unknown>;
export type Runners = ReadonlyMap<string, Runner>;

export function poolRunners(pool: PoolName, handlers: PoolHandlers): Runners {
  const runner = <Name extends PoolJobName>(name: Name) => runnerOf(name, pool, handlers[name]);
  return new Map(poolJobNames.map((name) => [name, runner(name)]));
}

export function runnerOf<Name extends JobName>(name: Name, pool: PoolName, handler: Handler<Name>): Runner {
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
