// Room: api. Owns the HTTP server: /healthz and /readyz for every caller, the rest for callers with the token.
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import type { Logger } from "pino";
import { localCaller } from "../../domain/callers.ts";
import { failedPrecondition, invalidArgument } from "../../domain/errors.ts";
import type { Health } from "../../domain/health.ts";
import { shared } from "../../domain/shared.ts";
import type { Host } from "../../service/host.ts";
import type { MetricReading } from "../../service/metrics-reader.ts";
import { type Address, isLoopback, parseAddress, urlOf } from "./address.ts";
import { countRequests } from "./count-requests.ts";
import { serveHealth } from "./health.ts";
import { onlyForThisHost } from "./hosts.ts";
import { openHere, prometheusText } from "./metrics.ts";
import { byToken, noForeignCommands, onlyFromHere, onlyWithToken, withSoundBody } from "./protection.ts";
import { type Fetch, listenOnSocket } from "./socket.ts";
import { traceRequests } from "./trace-requests.ts";
import type { Connection, V1Env } from "./v1/caller.ts";
import { strictPolicy } from "./v1/page.ts";
import { v1 } from "./v1/routes.ts";

export interface HttpOptions {
  /** HOST:PORT; port 0 means any free port. */
  readonly address: string;
  /** Names of the server besides its address and the loopback names. */
  readonly names?: readonly string[];
  readonly token: string;
  /** Whether programs on this machine get /metrics without the token. Default: no. */
  readonly metricsOpen?: boolean;
  readonly log: Logger;
  readonly health: () => Promise<Health>;
  /** Of `up` itself and of each pool. */
  readonly metrics: () => Promise<readonly (readonly MetricReading[])[]>;
  /** What /v1 serves. */
  readonly host: Host;
}

export interface HttpServer extends AsyncDisposable {
  /** `http://127.0.0.1:7070` */
  readonly url: string;
  /** Serves `dashboard` at /queues from now on; before, /queues answers 503. */
  show(dashboard: Hono): void;
  /** Takes the place of what the options said, from the next request on. */
  reconfigure(given: Required<Pick<HttpOptions, "names" | "metricsOpen">>): void;
  /** Serves /v1 at a UNIX socket, too, until disposed of; whoever reaches it needs no token. */
  listenAt(path: string): AsyncDisposable;
}

const limits = {
  /** The largest valid body is a job's data. A larger one is answered with 413, even while it is being received. */
  maxRequestBodySize: 2 ** 20,
  /** Seconds. Closes idle connections; Bun also closes one that sends its request too slowly. */
  idleTimeout: 10,
} as const;

/** Serves until disposed of. Throws invalid_argument for an invalid address, failed_precondition if it is in use. */
export function serveHttp({
  address,
  names: givenNames = [],
  token,
  log,
  health,
  metrics,
  host,
  metricsOpen: givenOpen = false,
}: HttpOptions): HttpServer {
  const wanted = parseAddress(address);
  let dashboard: Hono | undefined;
  let names = givenNames;
  let metricsOpen = givenOpen;
  const app = new Hono<Pick<V1Env, "Bindings">>();
  app.use("/v1/*", traceRequests, strictPolicy);
  app.use(
    countRequests,
    onlyFromHere,
    onlyForThisHost(wanted, () => names),
  );
  app.get("/", (context) => context.redirect("/queues"));
  serveHealth(app, health, onlyWithToken(token));
  const readMetrics = shared(metrics);
  app.get(
    "/metrics",
    openHere(() => metricsOpen, onlyWithToken(token)),
    async (context) => {
      const { text, type } = await prometheusText(await readMetrics());
      return context.body(text, 200, { "content-type": type });
    },
  );
  app.route("/v1", v1({ host, authenticate: byToken(token), log }));
  app.get("/queues/", (context) => context.redirect("/queues"));
  app.use("/queues/*", onlyWithToken(token), noForeignCommands);
  app.all("/queues/*", async (context) => {
    if (dashboard === undefined) return context.text("snapmill is starting: try again in a moment\n", 503);
    const request = await withSoundBody(context.req.raw);
    return request === undefined ? context.text("refused: the body is not JSON\n", 400) : dashboard.fetch(request);
  });
  app.onError((error, context) => {
    // A 401 is an answer, not a failure.
    if (error instanceof HTTPException) return error.getResponse();
    log.error({ err: error, path: context.req.path }, "a request failed");
    return context.text("something went wrong: see the log of snapmill\n", 500);
  });

  const fetchFrom =
    (routes: Hono<Pick<V1Env, "Bindings">>): Fetch =>
    (request, bun) => {
      const peer = bun.requestIP(request)?.address;
      const connection: Connection = { peer, keepOpen: (seconds) => bun.timeout(request, seconds) };
      return routes.fetch(request, connection);
    };
  const server = listen(wanted, fetchFrom(app));
  const url = urlOf({ ...wanted, port: server.port ?? wanted.port });
  if (!isLoopback(wanted)) log.warn(`the dashboard at ${url} is reachable from other machines, without encryption`);
  return {
    url,
    show: (shown) => {
      dashboard = shown;
    },
    reconfigure: (given) => {
      names = given.names;
      metricsOpen = given.metricsOpen;
    },
    listenAt: (path) => {
      const local = new Hono<Pick<V1Env, "Bindings">>().route(
        "/v1",
        v1({ host, authenticate: () => localCaller, log }),
      );
      return listenOnSocket(path, { maxRequestBodySize: limits.maxRequestBodySize, fetch: fetchFrom(local) });
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function listen(address: Address, fetch: Fetch) {
  try {
    return Bun.serve({ ...address, ...limits, fetch });
  } catch (error) {
    const where = `${address.hostname}:${address.port}`;
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
      throw failedPrecondition(`HTTP address ${where} is in use: choose another with --http-address`, error);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidArgument(`HTTP cannot be served at ${where}: ${reason}`, error);
  }
}
