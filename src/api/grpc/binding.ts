// Room: api. Owns the binding of the calls to grpc-js: encoding, answers, failures and cancellation.
import { once } from "node:events";
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  status as grpcStatus,
  type MethodDefinition,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import { observed } from "../../domain/tally.ts";
import { fieldsOf, inWork } from "../../domain/work.ts";
import type { Callers } from "./callers.ts";
import { breath, type Caller, type Calls } from "./context.ts";
import { Snapshots } from "./generated/snapshots_pb.js";
import { asCallFailure, type Status, statusOf } from "./status.ts";
import type { Turns } from "./turns.ts";

/** What all calls share: the callers that wait, the turns of long answers, and the log of internal errors. */
export interface Surroundings {
  readonly callers: Callers;
  readonly turns: Turns;
  readonly log: Logger;
}

/** A method as grpc-js takes it. */
interface Bound {
  readonly definition: MethodDefinition<unknown, unknown>;
  readonly handler: UntypedHandleCall;
}

export interface BoundService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export function bindCalls(calls: Calls, around: Surroundings): BoundService {
  const { method } = Snapshots;
  const bound: { readonly [Name in keyof Calls]: Bound } = {
    prepare: unary(method.prepare, calls.prepare, around),
    view: unary(method.view, calls.view, around),
    mounts: unary(method.mounts, calls.mounts, around),
    commit: unary(method.commit, calls.commit, around),
    remove: unary(method.remove, calls.remove, around),
    stat: unary(method.stat, calls.stat, around),
    update: unary(method.update, calls.update, around),
    list: streaming(method.list, calls.list, around),
    usage: unary(method.usage, calls.usage, around),
    cleanup: unary(method.cleanup, calls.cleanup, around),
  };
  for (const { name } of Object.values(method)) observed.start("snapmill_grpc_requests_total", labelsOf(name));
  const entries = Object.entries(bound);
  return {
    definition: Object.fromEntries(entries.map(([name, { definition }]) => [name, definition])),
    implementation: Object.fromEntries(entries.map(([name, { handler }]) => [name, handler])),
  };
}

function unary<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  answer: (
    request: MessageShape<Input>,
    caller: Caller,
  ) => MessageInitShape<Output> | Promise<MessageInitShape<Output>>,
  { callers, log }: Surroundings,
): Bound {
  async function run(
    call: ServerUnaryCall<MessageShape<Input>, MessageShape<Output>>,
    callback: sendUnaryData<MessageShape<Output>>,
  ): Promise<void> {
    try {
      using caller = callers.welcome(call);
      const answered = await inCall(method, call, () =>
        unlessGone(caller, async () => await answer(call.request, caller)),
      );
      callback(null, create(method.output, answered));
      observeCall(method.name, grpcStatus.OK);
    } catch (error) {
      callback(failed(method.name, error, log));
    }
  }
  const handler = (
    call: ServerUnaryCall<MessageShape<Input>, MessageShape<Output>>,
    callback: sendUnaryData<MessageShape<Output>>,
  ): void => void run(call, callback);
  return { definition: definitionOf(method), handler };
}

function streaming<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodServerStreaming<Input, Output>,
  answer: (request: MessageShape<Input>, caller: Caller) => Iterable<MessageInitShape<Output> | typeof breath>,
  { callers, turns, log }: Surroundings,
): Bound {
  async function run(call: ServerWritableStream<MessageShape<Input>, MessageShape<Output>>): Promise<void> {
    try {
      using caller = callers.welcome(call);
      const { signal } = caller;
      const stream = async () => {
        await turns.next();
        for (const message of answer(call.request, caller)) {
          const hasRoom = message === breath || call.write(create(method.output, message));
          // Backpressure: wait for a slow client instead of buffering for it.
          if (!hasRoom) await drained(call, caller);
          await turns.next();
          signal.throwIfAborted();
        }
      };
      await inCall(method, call, () => unlessGone(caller, stream));
      call.end();
      observeCall(method.name, grpcStatus.OK);
    } catch (error) {
      call.emit("error", failed(method.name, error, log));
    }
  }
  const handler = (call: ServerWritableStream<MessageShape<Input>, MessageShape<Output>>): void => void run(call);
  return { definition: definitionOf(method), handler };
}

/** Answers a call as work, in the trace of its caller. */
function inCall<T>(
  method: DescMethodUnary | DescMethodServerStreaming,
  call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>,
  answer: () => Promise<T>,
): Promise<T> {
  const [parent] = call.metadata.get("traceparent");
  const attributes = { "rpc.system": "grpc", "rpc.service": method.parent.typeName, "rpc.method": method.name };
  const work = { name: `${method.parent.name}/${method.name}`, kind: "server", attributes } as const;
  return inWork({ ...work, parent: parent?.toString(), fields: fieldsOf(call.request) }, answer);
}

/** If the caller has gone, throws that reason instead of the failure. */
async function unlessGone<T>(caller: Caller, answer: () => Promise<T>): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    const { signal } = caller;
    throw signal.aborted ? signal.reason : error;
  }
}

/** Rejects if the caller leaves first. */
const drained = (call: ServerWritableStream<unknown, unknown>, { signal }: Caller): Promise<unknown> =>
  once(call, "drain", { signal });

function failed(method: string, error: unknown, log: Logger): Status {
  const failure = asCallFailure(error);
  if (failure.code === "internal") log.error({ err: error, call: method }, failure.message);
  const status = statusOf(failure);
  observeCall(method, status.code);
  return status;
}

const nameOfCode = (code: number): string => grpcStatus[code] ?? String(code);

const labelsOf = (method: string, code: number = grpcStatus.OK) => ({ method, code: nameOfCode(code) });

const observeCall = (method: string, code: number): void =>
  observed.count("snapmill_grpc_requests_total", labelsOf(method, code));

const definitionOf = (method: DescMethodUnary | DescMethodServerStreaming): MethodDefinition<unknown, unknown> => ({
  path: `/${method.parent.typeName}/${method.name}`,
  originalName: method.localName,
  requestStream: false,
  responseStream: method.methodKind === "server_streaming",
  requestSerialize: encoderOf(method.input),
  requestDeserialize: (bytes) => fromBinary(method.input, bytes),
  responseSerialize: encoderOf(method.output),
  responseDeserialize: (bytes) => fromBinary(method.output, bytes),
});

const encoderOf = (schema: DescMessage) => (message: unknown) =>
  Buffer.from(toBinary(schema, message as MessageShape<typeof schema>));
