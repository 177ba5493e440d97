// Room: test. Owns the choice of a port for a program that cannot choose one itself.
import { createServer } from "node:net";

/** A port that is free now, and unlikely to be taken meanwhile. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
