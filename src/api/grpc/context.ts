// Room: api. Owns what every call is given, and the shape of a call.
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Scope } from "../../domain/identifiers.ts";
import type { Service } from "../../service/service.ts";
import type { Snapshots } from "./generated/snapshots_pb.js";

/** What the calls work on: the pool, and the key space that all calls act in. */
export interface Context {
  readonly service: Service;
  readonly scope: Scope;
}

/** The client that waits for the answer. */
export interface Caller {
  /** Aborted when the call is cancelled, past its deadline or disconnected, or the server stops: with a SnapmillError. */
  readonly signal: AbortSignal;
}

/** In place of a message of a stream: other calls have their turn, and a caller that has gone is noticed. */
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

/** The service: a call for every method that the protocol names. What they throw are SnapmillErrors. */
export type Calls = { readonly [Name in keyof Methods]: Call<Methods[Name]> };
