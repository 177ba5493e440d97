// Room: api. Owns the UNIX socket of the API: only its owner reaches it, who needs no token.
import { chmodSync, rmSync } from "node:fs";

export type Fetch = (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>;

export interface SocketOptions {
  readonly fetch: Fetch;
  readonly maxRequestBodySize: number;
}

/** Serves at `path`, in a directory of this process's own, until disposed of. A killed process's socket is replaced. */
export function listenOnSocket(path: string, options: SocketOptions): AsyncDisposable {
  rmSync(path, { force: true });
  const server = Bun.serve({ ...options, unix: path });
  chmodSync(path, 0o600);
  return {
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
      rmSync(path, { force: true });
    },
  };
}
