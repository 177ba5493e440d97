// Room: api. Owns the HTTP server: /healthz and /readyz for every caller, the rest for callers with the token.
import { type Context, Hono } from "hono";
import type { Logger } from "pino";
import { asSnapmillError } from "../../domain/errors.ts";
import type { Health } from "../../domain/health.ts";
import { type Address, isLoopback, parseAddress } from "../../domain/http-address.ts";
import { shared } from "../../domain/shared.ts";
import type { AuditLog } from "../../service/audit-log.ts";
import type { Host } from "../../service/host.ts";
import type { MetricReading } from "../../service/metrics-reader.ts";
import type { Sessions } from "../../service/sessions.ts";
import type { SignInLinks } from "../../service/sign-in-links.ts";
import type { CertificateFiles } from "./certificate.ts";
import { countRequests } from "./count-requests.ts";
import { type Bindings, Gate, type GateOptions, type Peer } from "./gate.ts";
import { serveHealth } from "./health.ts";
import { onlyForThisHost } from "./hosts.ts";
import { idleTimeoutSeconds, Listener } from "./listener.ts";
import { openHere, prometheusText } from "./metrics.ts";
import { noSuchPage, type PagesOptions, pagesApp } from "./pages/app.tsx";
import { sessionIn, type ViewerEnv } from "./pages/viewer.ts";
import {
  isReading,
  onlyFromHere,
  onlyKnownMethods,
  onlyWithToken,
  type PagesEnv,
  withBoardPolicy,
  withPagePolicy,
} from "./protection.ts";
import { endingUnread, maxRequestBodySize } from "./request-body.ts";
import { serveSignInLink } from "./sign-in-link.ts";
import { type Fetch, listenOnSocket } from "./socket.ts";
import { traceRequests } from "./trace-requests.ts";
import type { V1Env } from "./v1/caller.ts";
import { strictPolicy } from "./v1/page.ts";
import { Problem, problemResponse } from "./v1/problems.ts";
import { v1 } from "./v1/routes.ts";

export interface HttpOptions extends GateOptions {
  /** HOST:PORT; port 0 means any free port. */
  readonly address: string;
  /** Names of the server besides its address and the loopback names. */
  readonly names?: readonly string[];
  /** Undefined: plain HTTP. */
  readonly certificate?: CertificateFiles | undefined;
  /** Whether programs on this machine get /metrics without a token. Default: no. */
  readonly metricsOpen?: boolean;
  /** What changes are recorded in. */
  readonly audit: AuditLog;
  readonly log: Logger;
  readonly health: () => Promise<Health>;
  /** Of `up` itself and of each pool. */
  readonly metrics: () => Promise<readonly (readonly MetricReading[])[]>;
  /** What /v1 and the pages serve. */
  readonly host: Host;
  readonly sessions: Sessions;
  readonly links: SignInLinks;
}

export interface HttpServer extends AsyncDisposable {
  /** `http://127.0.0.1:7070` */
  readonly url: string;
  /** Serves `dashboard` at /queues from now on; before, /queues answers 503. */
  show(dashboard: Hono): void;
  /**
   * Takes the place of what the options said, from the next request on. Throws failed_precondition if the certificate is
   * not usable; then nothing has changed. Where there was none, it changes nothing of that.
   */
  reconfigure(given: Required<Pick<HttpOptions, "names" | "metricsOpen" | "certificate" | "requestsPerSecond">>): void;
  /** Serves /v1 and links to sign in at a UNIX socket, too, until disposed of; whoever reaches it needs no token. */
  listenAt(path: string): AsyncDisposable;
}

/** What changes while it serves. */
interface Current {
  names: readonly string[];
  metricsOpen: boolean;
  /** Undefined: it is starting. */
  dashboard: Hono | undefined;
}

/** Serves until disposed of. Throws invalid_argument for an invalid address, failed_precondition if it is in use. */
export function serveHttp(options: HttpOptions): HttpServer {
  const { log, names = [], metricsOpen = false, certificate } = options;
  const wanted = parseAddress(options.address);
  const current: Current = { names, metricsOpen, dashboard: undefined };
  const gate = new Gate(options);
  const app = application(options, gate, wanted, current);
  const fetch: Fetch = (request, bun) => {
    const peer = { kind: "network", address: bun.requestIP(request)?.address } as const;
    return answered(app, request, bindings(request, bun, peer));
  };
  const listener = new Listener({ address: wanted, certificate, log, fetch });
  const { url } = listener;
  if (!isLoopback(wanted) && certificate === undefined) {
    log.warn(`${url} is reachable from other machines without encryption, tokens included: see SNAPMILL_HTTP_CERT`);
  }
  return {
    url,
    show: (shown) => {
      current.dashboard = shown;
    },
    reconfigure: (given) => {
      if (given.certificate !== undefined) listener.useCertificate(given.certificate);
      gate.requestsPerSecond = given.requestsPerSecond;
      current.names = given.names;
      current.metricsOpen = given.metricsOpen;
    },
    listenAt: (path) => {
      const local = new Hono<Pick<V1Env, "Bindings">>().route("/v1", v1({ ...options, gate }));
      serveSignInLink(local, { ...options, url });
      local.onError((error) => problemResponse(asSnapmillError(error)));
      local.notFound(() => problemResponse(new Problem("no_such_route", "there is /v1 here, and nothing else")));
      return listenOnSocket(path, {
        maxRequestBodySize,
        fetch: (request, bun) => answered(local, request, bindings(request, bun, { kind: "socket" })),
      });
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

const answered = async <Env extends { Bindings: Bindings }>(app: Hono<Env>, request: Request, given: Bindings) =>
  endingUnread(request, await app.fetch(request, given));

const bindings = (request: Request, bun: Bun.Server<undefined>, peer: Peer): Bindings => ({
  peer,
  keepOpen: (seconds = idleTimeoutSeconds) => bun.timeout(request, seconds),
});

/** Without a token there is /healthz, /readyz without reasons, and the way to sign in; nothing else shows. */
function application(options: HttpOptions, gate: Gate, address: Address, current: Current): Hono<PagesEnv> {
  const { audit, log, health, metrics, host } = options;
  const isSecure = options.certificate !== undefined;
  const withToken = onlyWithToken(gate);
  const app = new Hono<PagesEnv>();
  app.use("/v1/*", traceRequests, strictPolicy);
  app.use("/queues/*", withBoardPolicy);
  const onlyOwnNames = onlyForThisHost(address, () => current.names);
  app.use(countRequests, withPagePolicy, onlyFromHere, onlyOwnNames, onlyKnownMethods);
  serveHealth(app, health, withToken);
  app.route("/v1", v1({ host, gate, audit, log }));
  const readMetrics = shared(metrics);
  const openIfWanted = openHere(() => current.metricsOpen, withToken);
  app.get("/metrics", openIfWanted, async (context) => {
    const { text, type } = await prometheusText(await readMetrics());
    return context.body(text, 200, { "content-type": type });
  });
  const pages: PagesOptions = { ...options, gate, isSecure };
  serveBoard(app, current, pages);
  app.route("/", pagesApp(pages));
  app.use(async (context, next) => {
    const page = await noSuchPage(context as unknown as Context<ViewerEnv>, pages);
    return page ?? (await withToken(context, next));
  });
  app.onError((error, context) => {
    log.error({ err: error, path: context.req.path }, "a request failed");
    return context.text("something went wrong: see the log of snapmill\n", 500);
  });
  return app;
}

/** bull-board shows the queues; changes go through the API, so that roles and the audit log hold. */
function serveBoard(app: Hono<PagesEnv>, current: Current, { gate, sessions, isSecure }: PagesOptions): void {
  const resume = (context: Context) => sessionIn(context, sessions, isSecure)?.admission;
  app.use("/queues/*", onlyWithToken(gate, resume));
  app.get("/queues/", (context) => context.redirect("/queues"));
  app.all("/queues/*", async (context) => {
    if (!isReading(context)) {
      return context.text(
        "refused: the queues are only shown here; 'snapmill queues' and the pages change them\n",
        405,
      );
    }
    const shown = current.dashboard;
    if (shown === undefined) return context.text("snapmill is starting: try again in a moment\n", 503);
    return await shown.fetch(context.req.raw);
  });
}
