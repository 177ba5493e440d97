// Room: client. Owns the typed client of a snapmill's HTTP API: every operation as a function, derived from the endpoints.
import { type Endpoint, endpoints, pageLimits } from "../api/http/v1/endpoints.ts";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { freshOperationId } from "../domain/identifiers.ts";
import { startTimer } from "../domain/timers.ts";
import type {
  api,
  HostOperationName,
  Input,
  ListName,
  OperationName,
  Output,
  PoolOperationName,
} from "../service/api.ts";
import { patient, repeated } from "./attempts.ts";
import { ApiError, notSnapmill, type ProblemDocument } from "./failures.ts";
import { followed } from "./follow.ts";
import { parseHost, requireSafe } from "./host.ts";
import { type Fields, requestFor } from "./requests.ts";
import { type Reply, Transport } from "./transport.ts";

export { ApiError, type ProblemDocument };

export interface ClientOptions {
  /** `https://HOST[:PORT]`, `http://127.0.0.1:PORT` or `unix:///PATH`. */
  readonly host: string;
  /** As `snapmill token create` prints it; none is needed on a socket. */
  readonly token?: string | undefined;
  /** The certificates that are trusted, as PEM. Default: the system's. */
  readonly ca?: string | undefined;
  /** How often what may pass is tried. Default: 4 times. */
  readonly attempts?: number | undefined;
}

export interface ReadOptions {
  /** Ends the call, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** `Progress`: what a long operation tells of itself, such as the layers of an unpack, bottom first. */
export interface ChangeOptions<Progress = never> extends ReadOptions {
  /** Makes the change repeatable: with the same ID it has one effect, and one answer. Default: a fresh one. */
  readonly operationId?: string | undefined;
  /** Why, for the audit log. */
  readonly reason?: string | undefined;
  /** How long to wait for the answer; a long operation is ended by its signal instead. Default: ten minutes. */
  readonly deadlineMs?: number | undefined;
  /** Called whenever there is progress, of a long operation. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

type OptionsOf<Name extends OperationName> = (typeof endpoints)[Name]["method"] extends "GET"
  ? ReadOptions
  : ChangeOptions<ProgressOf<Name>>;
type ProgressOf<Name extends OperationName> = (typeof api)[Name] extends (
  service: never,
  given: never,
  options?: { readonly onProgress?: ((progress: infer Progress) => void) | undefined },
) => unknown
  ? Progress
  : never;

/** A list is read page by page, as its items are asked for. */
type Call<Name extends OperationName> = Name extends ListName
  ? (given: Input<Name>, options?: ReadOptions) => AsyncIterable<Output<Name>>
  : (given: Input<Name>, options?: OptionsOf<Name>) => Promise<Output<Name>>;

/** The operations on one pool. */
export type PoolClient = { readonly [Name in PoolOperationName]: Call<Name> };

/** The operations that are no single pool's. */
export type HostClient = { readonly [Name in HostOperationName]: Call<Name> };

export interface Client extends HostClient {
  readonly pool: (name: string) => PoolClient;
}

/**
 * Nothing is sent before the first call. What a call throws is an `ApiError`, or its signal's reason.
 * Throws invalid_argument for a host that is none, or that a token cannot be sent to safely.
 */
export function connect({ host, token, ca, attempts = 4 }: ClientOptions): Client {
  const address = parseHost(host);
  requireSafe(address, token !== undefined);
  const caller = new Caller(new Transport({ address, token, ca }), attempts);
  const pool = (name: string) => bound(caller, { pool: name }) as unknown as PoolClient;
  return { ...(bound(caller, {}) as unknown as HostClient), pool };
}

/** Every operation with `fixed` fields given; those that need another field fail by themselves. */
function bound(caller: Caller, fixed: Fields): Record<string, unknown> {
  const isOnPool = "pool" in fixed;
  const names = Object.entries<Endpoint>(endpoints).filter(([, { path }]) => path.includes("{pool}") === isOnPool);
  return Object.fromEntries(
    names.map(([name, endpoint]) => [
      name,
      (given: Fields = {}, options: ChangeOptions = {}) => caller.call(endpoint, { ...given, ...fixed }, options),
    ]),
  );
}

type Repeatable = ChangeOptions & { readonly operationId: string };

const readTimeoutMs = 60_000;
const changeTimeoutMs = 10 * 60_000;
/** How long a call that is cancelled waits to be told where its operation is. */
const placeMs = 5_000;

class Caller {
  readonly #transport: Transport;
  readonly #attempts: number;

  constructor(transport: Transport, attempts: number) {
    this.#transport = transport;
    this.#attempts = attempts;
  }

  call(endpoint: Endpoint, given: Fields, options: ChangeOptions): unknown {
    switch (endpoint.kind) {
      case "list":
        return this.#items(endpoint, given, options);
      case "read":
        return this.#read(endpoint, given, options);
      case "change":
      case "long":
        return this.#change(endpoint, given, options);
    }
  }

  async #read(endpoint: Endpoint, given: Fields, { signal }: ReadOptions): Promise<unknown> {
    return (await this.#get(requestFor(endpoint, given).target, signal)).body;
  }

  async *#items(endpoint: Endpoint, given: Fields, { signal }: ReadOptions): AsyncGenerator {
    let target: string | null = withLimit(requestFor(endpoint, given).target);
    while (target !== null) {
      const page = pageOf((await this.#get(target, signal)).body, this.#transport.host);
      yield* page.items;
      target = page.next;
    }
  }

  async #change(endpoint: Endpoint, given: Fields, options: ChangeOptions): Promise<unknown> {
    const { operationId = freshOperationId() } = options;
    try {
      return await this.#changed(endpoint, given, { ...options, operationId });
    } catch (error) {
      throw error instanceof ApiError ? Object.assign(error, { repeatAs: operationId }) : error;
    }
  }

  async #changed(endpoint: Endpoint, given: Fields, options: Repeatable): Promise<unknown> {
    const { signal, deadlineMs = changeTimeoutMs, onProgress } = options;
    const late = new Canceller();
    const tooLate = new AbortReason("deadline", `it has not ended within ${deadlineMs / 1000} s, and goes on`);
    const longestMs = endpoint.kind === "long" ? Number.POSITIVE_INFINITY : deadlineMs;
    using _timer = startTimer(longestMs, () => late.cancel(tooLate));
    const reply = await this.#sent(endpoint, given, options);
    if ("body" in reply) return reply.body;
    const { place } = reply;
    const operationId = /^\/v1\/operations\/([^/?]+)$/.exec(place)?.[1];
    if (operationId === undefined) throw notSnapmill(this.#transport.host, "its operation has another place");
    const following = { transport: this.#transport, place, operationId, signal, late: late.signal };
    try {
      return await followed({ ...following, onProgress: onProgress as ((progress: unknown) => void) | undefined });
    } catch (error) {
      if (error !== tooLate) throw error;
      throw new ApiError(tooLate.code, `operation ${operationId}: ${tooLate.message}`, { operationId });
    }
  }

  /** The answer of a change, or its place. */
  async #sent(endpoint: Endpoint, given: Fields, options: Repeatable) {
    const { operationId, reason, signal, deadlineMs = changeTimeoutMs } = options;
    const headers = {
      "idempotency-key": operationId,
      ...(reason !== undefined && { "snapmill-reason": headerOf(reason) }),
    };
    const wanted = requestFor(endpoint, given);
    // Only at its place a long operation can be cancelled, and the answer, which comes at once, says where that is.
    using patience = patient(signal, placeMs);
    const ending =
      endpoint.kind === "long"
        ? { timeoutMs: readTimeoutMs, signal: patience.signal }
        : { timeoutMs: deadlineMs, signal };
    const send = () => this.#transport.send(wanted, { headers, ...ending });
    signal?.throwIfAborted();
    try {
      const reply = await repeated(send, { attempts: this.#attempts, signal });
      const place = reply.headers.get("location");
      return reply.status === 202 && place !== null ? { place } : { body: reply.body };
    } catch (error) {
      // The answer to an earlier attempt was lost.
      if (error instanceof ApiError && error.place !== undefined) return { place: error.place };
      signal?.throwIfAborted();
      throw error;
    }
  }

  #get(target: string, signal: AbortSignal | undefined): Promise<Reply> {
    const send = () =>
      this.#transport.send({ method: "GET", target, body: undefined }, { signal, timeoutMs: readTimeoutMs });
    return repeated(send, { attempts: this.#attempts, signal });
  }
}

const withLimit = (target: string): string => `${target}${target.includes("?") ? "&" : "?"}limit=${pageLimits.most}`;

interface ListedPage {
  readonly items: readonly unknown[];
  /** Path and query. */
  readonly next: string | null;
}

function pageOf(body: unknown, host: string): ListedPage {
  if (typeof body === "object" && body !== null && "items" in body && "next" in body && Array.isArray(body.items)) {
    const { items, next } = body;
    if (next === null || (typeof next === "string" && next.startsWith("/v1/"))) return { items, next };
  }
  throw notSnapmill(host, "its list has another shape");
}

/** A header has bytes, which `fetch` takes from Latin-1: those of UTF-8. A line's end would be refused. */
const headerOf = (text: string): string =>
  Array.from(new TextEncoder().encode(text.replace(/\s+/g, " ").trim()), (byte) => String.fromCharCode(byte)).join("");
