// Room: client. Owns single HTTP requests to a snapmill: their time limits, their credentials, and answers that are none.
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { startTimer } from "../domain/timers.ts";
import { traceparent } from "../domain/work.ts";
import { ApiError, connectionError, notSnapmill, type ProblemDocument, problemError } from "./failures.ts";
import type { HostAddress } from "./host.ts";
import type { Wanted } from "./requests.ts";

export interface TransportOptions {
  readonly address: HostAddress;
  readonly token: string | undefined;
  /** PEM of the certificates that are trusted. */
  readonly ca: string | undefined;
}

export interface Sending {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Until the whole answer is there. */
  readonly timeoutMs: number;
}

/** A whole answer. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  get host(): string {
    return this.#options.address.text;
  }

  /** Throws ApiError where there is no answer in time, or one that is no success; and the reason of `signal`. */
  async send(wanted: Wanted, sending: Sending): Promise<Reply> {
    const { signal, timeoutMs } = sending;
    signal?.throwIfAborted();
    const late = new Canceller();
    const reason = new AbortReason("deadline", `${this.host} gave no whole answer within ${timeoutMs / 1000} s`);
    using _timer = startTimer(timeoutMs, () => late.cancel(reason));
    const ended = AbortSignal.any([late.signal, ...(signal === undefined ? [] : [signal])]);
    try {
      return await this.#read(await this.#fetch(wanted, sending, ended));
    } catch (error) {
      signal?.throwIfAborted();
      if (late.isCancelled) throw new ApiError(reason.code, reason.message, { cause: error });
      throw isOurs(error) ? error : connectionError(this.host, error);
    }
  }

  /** An answer whose body comes bit by bit, as events do. The caller ends it with `signal`. */
  async stream(wanted: Wanted, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    const response = await this.#fetch(wanted, { headers }, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw connectionError(this.host, error);
    });
    if (response.ok) return response;
    await this.#read(response);
    throw notSnapmill(this.host, `status ${response.status}`);
  }

  async #fetch({ method, target, body }: Wanted, { headers }: Pick<Sending, "headers">, signal: AbortSignal) {
    const { address, token, ca } = this.#options;
    const trace = traceparent();
    return await fetch(`${address.origin}${target}`, {
      method,
      headers: {
        accept: "application/json",
        ...headers,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(trace !== undefined && { traceparent: trace }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body: body ?? null,
      signal,
      // A redirect could lead elsewhere, with the token.
      redirect: "manual",
      // Bun would end a long wait after five minutes; each request has its own limit.
      timeout: false,
      ...(address.unix !== undefined && { unix: address.unix }),
      ...(ca !== undefined && { tls: { ca } }),
    } as RequestInit);
  }

  async #read(response: Response): Promise<Reply> {
    const { status, headers } = response;
    if (status === 304 || status === 204) return { status, headers, body: undefined };
    if (status >= 300 && status < 400) throw notSnapmill(this.host, `it redirects to ${originOf(headers)}`);
    const type = headers.get("content-type")?.split(";")[0]?.trim() ?? "no content type";
    if (type !== "application/json" && type !== "application/problem+json") {
      await response.body?.cancel();
      throw notSnapmill(this.host, `it answers ${status} with ${type}`);
    }
    const body = parsed(await response.text());
    if (response.ok && body !== undefined) return { status, headers, body };
    if (isProblem(body)) throw problemError(body, this.host, headers);
    throw notSnapmill(this.host, `it answers ${status} with JSON of another shape`);
  }
}

const isOurs = (error: unknown): error is ApiError => error instanceof Error && error.name === "SnapmillError";

/** Of the redirect's target: the rest may hold a secret. */
const originOf = (headers: Headers): string => URL.parse(headers.get("location") ?? "")?.origin ?? "another place";

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isProblem = (body: unknown): body is ProblemDocument =>
  typeof body === "object" &&
  body !== null &&
  ["type", "detail", "code", "wayOut"].every((field) => typeof (body as Record<string, unknown>)[field] === "string");
