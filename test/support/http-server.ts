// Room: test. Owns an HTTP server for tests that need no whole `up`: with one token, and an audit log of its own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HttpOptions, type HttpServer, serveHttp } from "../../src/api/http/server.ts";
import type { Caller } from "../../src/domain/callers.ts";
import { createLogger } from "../../src/logger.ts";
import { AuditLog } from "../../src/service/audit-log.ts";
import { OperationTracker } from "../../src/service/operation-tracker.ts";
import { Sessions } from "../../src/service/sessions.ts";
import { SignInLinks } from "../../src/service/sign-in-links.ts";
import { well } from "./health.ts";

export interface TestServer extends HttpServer {
  readonly audit: AuditLog;
}

/** `tokens`: who each belongs to; a word alone is one of role operate. */
export function testServer(
  tokens: string | Readonly<Record<string, Caller>>,
  options: Partial<HttpOptions> = {},
): TestServer {
  const directory = mkdtempSync(join(tmpdir(), "snapmill-http-"));
  const audit = new AuditLog(join(directory, "service.db"), () => undefined);
  const callers = new Map(
    typeof tokens === "string" ? [[tokens, { tokenName: "test", role: "operate" } as const]] : Object.entries(tokens),
  );
  const operations = new OperationTracker({ database: audit.database, onTrouble: () => undefined });
  const named = new Map([...callers].map(([hash, caller]) => [caller.tokenName, { caller, hash }]));
  const end = () => {
    operations[Symbol.dispose]();
    audit[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  };
  const server = orElse(end, () =>
    serveHttp({
      address: "127.0.0.1:0",
      admit: (token) => {
        const caller = callers.get(token);
        return caller && { caller, holds: () => true };
      },
      audit,
      log: createLogger({ name: "test", level: "silent" }),
      health: async () => well,
      metrics: async () => [],
      host: { pools: new Map(), operations, auditLog: audit.database },
      sessions: new Sessions("a-key-of-tests", { named: (name) => named.get(name) }),
      links: new SignInLinks(),
      ...options,
    }),
  );
  return {
    url: server.url,
    show: (dashboard) => server.show(dashboard),
    reconfigure: (given) => server.reconfigure(given),
    listenAt: (path) => server.listenAt(path),
    audit,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      end();
    },
  };
}

/** What `make` makes; when it fails, `undo` is done first. */
function orElse<T>(undo: () => void, make: () => T): T {
  try {
    return make();
  } catch (error) {
    undo();
    throw error;
  }
}
