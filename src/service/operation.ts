// Room: service. Owns what an operation is: a function on plain data, with schemas for its arguments and its result.
import type { z } from "zod";
import { type Arguments, jobs, type PoolJobName, type Result } from "../jobs/contract.ts";
import type { CallOptions, Changes, Service } from "./service.ts";

interface Shapes<Given extends z.ZodType, Answer extends z.ZodType> {
  /** Adapters parse requests with it, and describe them by it. */
  readonly input: Given;
  /** What `run` returns, in JSON form. */
  readonly output: Answer;
}

/** What an operation may return: the schema's input, in JSON form (identifiers are strings), or its output. */
type Plain<Schema extends z.ZodType> = Kept<z.input<Schema>> | z.output<Schema>;
type Kept<T> = T extends readonly (infer Item)[]
  ? readonly Kept<Item>[]
  : T extends object
    ? { readonly [Field in keyof T]: Kept<T[Field]> }
    : T;

/**
 * `run` with its schemas as properties; the compiler checks `run` against both. It is called with parsed arguments,
 * throws SnapmillErrors, and reports progress through callbacks in its options.
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

/**
 * An operation that returns a list in pages; `output` describes one item. Callers yield to other work between pages.
 */
export const listOperation = <
  Given extends z.ZodType,
  Item extends z.ZodType,
  Returned extends Iterable<readonly Plain<Item>[]>,
>(
  shapes: Shapes<Given, Item>,
  run: (service: Service, given: z.output<Given>) => Returned,
) => Object.assign(run, shapes);

/** What every payload contains besides an operation's arguments. */
const envelope = { pool: true, operationId: true } as const;

/** An operation that the pool's worker executes; the registry of jobs declares its arguments and result. */
export function workerOperation<Name extends PoolJobName>(name: Name) {
  const run = (service: Changes, given: Arguments<Name>, options?: CallOptions): Promise<Result<Name>> =>
    service.change(name, given, options);
  const payload: z.ZodObject = jobs[name].payload;
  const input: z.ZodType = payload.omit(envelope);
  return Object.assign(run, { input: input as z.ZodType<unknown, Arguments<Name>>, output: jobs[name].result });
}
