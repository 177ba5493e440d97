// Room: service. Owns what an operation is: a function on plain data, with a schema of what it takes and what it answers.
import type { z } from "zod";
import { type Arguments, jobs, type PoolJobName, type Result } from "../jobs/contract.ts";
import type { CallOptions, Changes, Service } from "./service.ts";

interface Shapes<Given extends z.ZodType, Answer extends z.ZodType> {
  /** What an adapter parses a request with, and describes it by. */
  readonly input: Given;
  /** What `run` answers, as JSON has it. */
  readonly output: Answer;
}

/** What an operation may answer: what the schema parses, as JSON has it (identifiers are texts), or what comes of that. */
type Plain<Schema extends z.ZodType> = Kept<z.input<Schema>> | z.output<Schema>;
type Kept<T> = T extends readonly (infer Item)[]
  ? readonly Kept<Item>[]
  : T extends object
    ? { readonly [Field in keyof T]: Kept<T[Field]> }
    : T;

/**
 * An operation as `run` does it, with its schemas as properties. The compiler holds `run` to both. It is called with
 * parsed arguments and throws SnapmillErrors; what it has to tell meanwhile goes through callbacks among its options.
 */
export const operation = <
  Given extends z.ZodType,
  Answer extends z.ZodType,
  Returned extends Plain<Answer> | Promise<Plain<Answer>>,
  On = Service,
  Options = CallOptions,
>(
  shapes: Shapes<Given, Answer>,
  run: (service: On, given: z.output<Given>, options?: Options) => Returned,
) => Object.assign(run, shapes);

/** An operation that answers with a list, in pages: `output` is one item's. What else waits has its turn between pages. */
export const listOperation = <
  Given extends z.ZodType,
  Item extends z.ZodType,
  Returned extends Iterable<readonly Plain<Item>[]>,
>(
  shapes: Shapes<Given, Item>,
  run: (service: Service, given: z.output<Given>) => Returned,
) => Object.assign(run, shapes);

/** What every payload carries besides an operation's arguments. */
const envelope = { pool: true, operationId: true } as const;

/** An operation that the pool's worker does; the registry of jobs declares what it takes and answers. */
export function workerOperation<Name extends PoolJobName>(name: Name) {
  const run = (service: Changes, given: Arguments<Name>, options?: CallOptions): Promise<Result<Name>> =>
    service.change(name, given, options);
  const payload: z.ZodObject = jobs[name].payload;
  const input: z.ZodType = payload.omit(envelope);
  return Object.assign(run, { input: input as z.ZodType<unknown, Arguments<Name>>, output: jobs[name].result });
}
