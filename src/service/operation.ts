// Room: service. Owns what an operation is: a function on plain data, with a schema of what it takes and what it answers.
import type { z } from "zod";
import { type PoolJobName, poolJobs, type Result } from "../jobs/contract.ts";
import type { Arguments } from "../jobs/requests/client.ts";
import type { CallOptions, Service } from "./service.ts";

interface Shapes<Given extends z.ZodType = z.ZodType, Answer extends z.ZodType = z.ZodType> {
  readonly input: Given;
  readonly output: Answer;
}

/**
 * An operation as `run` does it. Called with parsed arguments; its schemas are there for adapters that parse and
 * describe. Throws SnapmillErrors.
 */
export const operation = <Given extends z.ZodType, Answer extends z.ZodType, Returned>(
  shapes: Shapes<Given, Answer>,
  run: (service: Service, given: z.output<Given>, options?: CallOptions) => Returned,
) => Object.assign(run, shapes);

/** An operation that the pool's worker does; what it takes and answers is declared by the contract of jobs. */
export function workerOperation<Name extends PoolJobName>(name: Name) {
  const run = (service: Service, given: Arguments<Name>, options?: CallOptions): Promise<Result<Name>> =>
    service.change(name, given, options);
  return Object.assign(run, { job: name, output: poolJobs[name].result });
}
