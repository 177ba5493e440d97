// Room: test. Owns a client of the snapshots service, as a JavaScript program would use.
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
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type CallOptions, Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { type Info, Snapshots } from "../../../src/api/grpc/generated/snapshots_pb.js";

type Methods = (typeof Snapshots)["method"];
type UnaryName = Exclude<keyof Methods, "list">;
type Request<Name extends keyof Methods> = MessageInitShape<Methods[Name]["input"]>;
type Response<Name extends keyof Methods> = MessageShape<Methods[Name]["output"]>;

const unaryMethods: {
  readonly [Name in UnaryName]: DescMethodUnary<Methods[Name]["input"], Methods[Name]["output"]>;
} = Snapshots.method;

/** The deadline of a call, its cancellation, and what goes beside it. */
export interface Patience {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Sent besides the client's own. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export class SnapshotsClient implements Disposable {
  readonly #client: Client;
  readonly #metadata = new Metadata();

  /** `namespace`: needed where the service is containerd's own. */
  constructor(address: string, namespace?: string) {
    if (namespace !== undefined) this.#metadata.set("containerd-namespace", namespace);
    // A channel of its own for each client, which tries again quickly: grpc-js shares channels, with their back-off.
    this.#client = new Client(`unix:${address}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
    });
  }

  /** Makes one call; rejects with grpc-js' error. */
  call<Name extends UnaryName>(name: Name, request: Request<Name>, patience: Patience = {}): Promise<Response<Name>> {
    return this.#unary(unaryMethods[name], request, patience);
  }

  #unary<In extends DescMessage, Out extends DescMessage>(
    method: DescMethodUnary<In, Out>,
    request: MessageInitShape<In>,
    { deadlineMs, signal, metadata = {} }: Patience,
  ): Promise<MessageShape<Out>> {
    const sent = this.#metadata.clone();
    for (const [name, value] of Object.entries(metadata)) sent.add(name, value);
    const { promise, resolve, reject } = Promise.withResolvers<MessageShape<Out>>();
    const call = this.#client.makeUnaryRequest(
      pathOf(method),
      (message: MessageShape<In>) => Buffer.from(toBinary(method.input, message)),
      (bytes) => fromBinary(method.output, bytes),
      create(method.input, request),
      sent,
      optionsOf(deadlineMs),
      (error, response) => (error === null ? resolve(response as MessageShape<Out>) : reject(error)),
    );
    signal?.addEventListener("abort", () => call.cancel(), { once: true });
    return promise;
  }

  /** The blocks of a list, as they come. Stopping early cancels the call. */
  async *blocks(filters: readonly string[] = [], snapshotter = ""): AsyncGenerator<Info[]> {
    const { list } = Snapshots.method;
    const call = this.#client.makeServerStreamRequest(
      pathOf(list),
      (message: MessageShape<typeof list.input>) => Buffer.from(toBinary(list.input, message)),
      (bytes) => fromBinary(list.output, bytes),
      create(list.input, { snapshotter, filters: [...filters] }),
      this.#metadata,
      {},
    );
    try {
      for await (const { info } of call as AsyncIterable<Response<"list">>) yield info;
    } finally {
      call.cancel();
    }
  }

  async list(...filters: readonly string[]): Promise<Info[]> {
    const all: Info[] = [];
    for await (const block of this.blocks(filters)) all.push(...block);
    return all;
  }

  /** How many snapshots a list has: counted but not decoded, so that the cost of decoding is not measured. */
  async countOf(snapshotter: string): Promise<number> {
    const { list } = Snapshots.method;
    const request = toBinary(list.input, create(list.input, { snapshotter }));
    const asTheyAre = (given: Uint8Array) => Buffer.from(given);
    const blocks = this.#client.makeServerStreamRequest(pathOf(list), asTheyAre, fieldsIn, request, this.#metadata, {});
    let count = 0;
    for await (const infos of blocks as AsyncIterable<number>) count += infos;
    return count;
  }

  /** Sends raw bytes to any path; returns the name of the code. */
  raw(path: string, bytes: Uint8Array): Promise<{ readonly status: string }> {
    const { promise, resolve } = Promise.withResolvers<{ readonly status: string }>();
    const asTheyAre = (given: Uint8Array) => Buffer.from(given);
    this.#client.makeUnaryRequest(path, asTheyAre, asTheyAre, bytes, this.#metadata, {}, (error) =>
      resolve({ status: status[error?.code ?? status.OK] ?? "" }),
    );
    return promise;
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** The number of fields of a message, repeated ones counted each time. */
function fieldsIn(message: Uint8Array): number {
  const reader = new BinaryReader(message);
  let count = 0;
  while (reader.pos < reader.len) {
    const [, wireType] = reader.tag();
    reader.skip(wireType);
    count += 1;
  }
  return count;
}

const pathOf = (method: DescMethodUnary | DescMethodServerStreaming): string =>
  `/${method.parent.typeName}/${method.name}`;

const optionsOf = (deadlineMs: number | undefined): CallOptions =>
  deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };

/** The failure of a call: the name of its code, and its message. */
export interface Failure {
  readonly code: string;
  readonly details: string;
}

const asFailure = (error: unknown): Failure => {
  const { code, details } = error as ServiceError;
  return { code: status[code] ?? String(error), details };
};

export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const failure = await call.then(() => undefined, asFailure);
  if (failure === undefined) throw new Error("the call did not fail");
  return failure;
}

/** The name of the code that a call ends with, OK included. */
export const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "OK",
    (error: unknown) => asFailure(error).code,
  );
