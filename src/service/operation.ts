// Room: service. Owns what an operation is: a function on plain data, with schemas for its arguments and its result.
import { z } from "zod";
import type { Recovery } from "../domain/recovery.ts";
import { type Arguments, type Jobs, jobs, type PoolJobName, type Result } from "../jobs/contract.ts";
import type { CallOptions, Changes, Service } from "./service.ts";

interface Shapes<Given extends z.ZodType, Answer extends z.ZodType> {
  /** Adapters parse requests with it, and describe them by it. */
  readonly input: Given;
  /** What `run` returns, in JSON form. */
  readonly output: Answer;
  /** Of a change; default: unknown. */
  readonly recovery?: Recovery;
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

/** Of an item in a list. */
export type Place = string | number;

interface ListShapes<Given extends z.ZodType, Item extends z.ZodType> extends Shapes<Given, Item> {
  /** The place of an item in the order of the list: `after` of the page that begins behind it. */
  readonly placeOf: (item: Plain<Item>) => Place;
}

/**
 * An operation that returns a list in pages; `output` describes one item, and `input` has an optional `after`. Callers
 * yield to other work between pages.
 */
export const listOperation = <
  Given extends z.ZodType<{ readonly after?: Place | undefined }>,
  Item extends z.ZodType,
  Returned extends Iterable<readonly Plain<Item>[]> | AsyncIterable<readonly Plain<Item>[]>,
  On = Service,
>(
  shapes: ListShapes<Given, Item>,
  run: (service: On, given: z.output<Given>) => Returned,
) => Object.assign(run, shapes);

/** What every payload contains besides an operation's arguments. */
const envelope = { pool: true, operationId: true } as const;

/**
 * An operation that the pool's worker executes; the registry of jobs declares its arguments and result. `defaults`:
 * values of arguments that adapters may leave out.
 */
export function workerOperation<Name extends PoolJobName, Default extends keyof Arguments<Name> = never>(
  name: Name,
  defaults?: Pick<Arguments<Name>, Default>,
) {
  const run = (service: Changes, given: Arguments<Name>, options?: CallOptions): Promise<Result<Name>> =>
    service.change(name, given, options);
  const payload: z.ZodObject = jobs[name].payload;
  const shape = Object.entries(payload.omit(envelope).shape).map(([field, schema]) => {
    const value = defaults?.[field as Default];
    return [field, value === undefined ? schema : (schema as z.ZodType).prefault(value)];
  });
  const input: z.ZodType = z.object(Object.fromEntries(shape));
  // As its own type: of `jobs[name].result` the compiler only knows that it is one of all results.
  const output: Jobs[Name]["result"] = jobs[name].result;
  return Object.assign(run, { input: input as ArgumentsOf<Name, Default>, output, recovery: "journaled" as const });
}

type ShapeOf<Name extends PoolJobName> = Jobs[Name]["payload"]["shape"];
type ArgumentsOf<Name extends PoolJobName, Default> = z.ZodObject<{
  [Field in Exclude<keyof ShapeOf<Name>, keyof typeof envelope>]: ShapeOf<Name>[Field] extends z.ZodType
    ? Field extends Default
      ? z.ZodPrefault<ShapeOf<Name>[Field]>
      : ShapeOf<Name>[Field]
    : never;
}>;
