// Room: api. Owns the gRPC server: the snapshots service on a UNIX socket.
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { failedPrecondition } from "../../domain/errors.ts";
import { bindCalls } from "./binding.ts";
import { Callers } from "./callers.ts";
import { callsOn } from "./calls.ts";
import type { Context } from "./context.ts";
import { Turns } from "./turns.ts";

export interface GrpcOptions {
  /** Path of the socket, which must not exist yet. It is created with the process's umask. */
  readonly address: string;
  readonly context: Context;
  readonly log: Logger;
}

/** When the server stops: how long calls in flight may take to finish, then how long to fail. */
const stopGraceMs = 3_000;
const sendAwayMs = 1_000;

/** The longest valid request (labels of 256 KiB, or field paths for all of them) is well below this. */
const maxRequestBytes = 4 * 2 ** 20;

/** Serves until disposed of. Throws failed_precondition if it cannot listen at the address. */
export async function serveSnapshots({ address, context, log }: GrpcOptions): Promise<AsyncDisposable> {
  const callers = new Callers();
  const server = new Server({ "grpc.max_receive_message_length": maxRequestBytes, "grpc.enable_channelz": 0 });
  const { definition, implementation } = bindCalls(callsOn(context), { callers, turns: new Turns(), log });
  server.addService(definition, implementation);
  await listen(server, address);
  return {
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      await Promise.race([ended, Bun.sleep(stopGraceMs)]);
      callers.sendAway();
      await Promise.race([ended, Bun.sleep(sendAwayMs)]);
      server.forceShutdown();
    },
  };
}

function listen(server: Server, address: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.bindAsync(`unix:${address}`, ServerCredentials.createInsecure(), (error) => {
    if (error === null) resolve();
    else reject(failedPrecondition(`containerd cannot be served at ${address}: ${error.message}`, error));
  });
  return promise;
}
