// Room: api. Owns the context of the calls, and the type of a call.
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Scope } from "../../domain/identifiers.ts";
import type { Service } from "../../service/service.ts";
import type { Snapshots } from "./generated/snapshots_pb.js";

/** What the calls work on: the pool, and the scope of all calls. */
export interface Context {
  readonly service: Service;
  readonly scope: Scope;
}

/** The client that waits for the answer. */
export interface Caller {
  /**
   * Aborted with a SnapmillError when the call is cancelled, past its deadline or disconnected, or when the server
   * stops.
   */
  readonly signal: AbortSignal;
}

/** Yielded by a stream in place of a message: lets other calls run, and ends the call if the caller has gone. */
export const breath = Symbol("breath");

type Methods = (typeof Snapshots)["method"];

type Call<Method> = Method extends {
  methodKind: "unary";
  input: infer Input extends DescMessage;
  output: infer Output extends DescMessage;
}
  ? (request: MessageShape<Input>, caller: Caller) => MessageInitShape<Output> | Promise<MessageInitShape<Output>>
  : Method extends {
        methodKind: "server_streaming";
        input: infer Input extends DescMessage;
        output: infer Output extends DescMessage;
      }
    ? (request: MessageShape<Input>, caller: Caller) => Iterable<MessageInitShape<Output> | typeof breath>
    : never;

/** The service: one call for each method of the protocol. They throw SnapmillErrors. */
export type Calls = { readonly [Name in keyof Methods]: Call<Methods[Name]> };
