// Room: images. Owns single HTTP requests: time limits, redirects, and the errors of failed connections.
import { AbortReason, Canceller } from "../../domain/cancellation.ts";
import { deadlineExceeded, failedPrecondition } from "../../domain/errors.ts";
import { observed } from "../../domain/tally.ts";
import { startTimer } from "../../domain/timers.ts";
import type { HostTls } from "./certificates.ts";
import { AttemptFailure, type Subject, sentence } from "./failures.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  /** Headers with secrets: not sent to another origin after a redirect. */
  readonly secretHeaders: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly tls: HostTls;
  readonly subject: Subject;
  readonly idleMs: number;
  readonly signal: AbortSignal | undefined;
}

/** An answer whose body has not been read yet. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Headers;
  /** The body. Throws AttemptFailure after `idleMs` without a byte. Left early, it ends the connection. */
  chunks(): AsyncGenerator<Uint8Array>;
  cancel(): void;
  readonly request: Pick<HttpRequest, "subject" | "idleMs">;
}

const maxRedirects = 10;
const redirects = new Set([301, 302, 303, 307, 308]);
/** In the error codes of Bun and OpenSSL for an untrusted certificate. */
const certificateCode = /CERT|SIGNATURE|ISSUER|ALTNAME|SELF_SIGNED/;

const reasons: Readonly<Record<string, string>> = {
  ECONNRESET: "the connection was cut",
  ECONNREFUSED: "the connection was refused",
  ENOTFOUND: "there is no such host",
  ETIMEDOUT: "the connection timed out",
};

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** The failure of a `fetch`. Its own text may hold a URL with a secret, of a proxy or a signed redirect. */
function connectionFailure(subject: Subject, error: unknown) {
  const code = codeOf(error);
  if (certificateCode.test(code)) {
    const advice = "add its authority to certs.d/HOST/hosts.toml (ca = ...)";
    return failedPrecondition(`${sentence(subject, `has a certificate that is not trusted (${code})`)}; ${advice}`);
  }
  if (code === "EPROTO") {
    const advice = "for a registry over plain HTTP say so (--plain-http, or hosts.toml)";
    return failedPrecondition(`${sentence(subject, "does not speak TLS")}; ${advice}`);
  }
  const reason = reasons[code] ?? `the connection failed (${code || "unknown error"})`;
  return new AttemptFailure(`${sentence(subject, "gave no whole answer")}: ${reason}`);
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Ends one request after silence, or with the caller's signal. */
class Limits implements Disposable {
  readonly #request: HttpRequest;
  readonly #silent = new Canceller();
  readonly #over = new Canceller();
  /** Ends the connection. */
  readonly signal: AbortSignal;

  constructor(request: HttpRequest) {
    this.#request = request;
    this.signal = AbortSignal.any([
      this.#silent.signal,
      this.#over.signal,
      ...(request.signal ? [request.signal] : []),
    ]);
  }

  /** Waits for `next` for at most `idleMs`. Throws AttemptFailure, a final error, or the signal's reason. */
  async bounded<T>(next: Promise<T>): Promise<T> {
    const { subject, idleMs, signal } = this.#request;
    const silence = new AbortReason("deadline", sentence(subject, `was silent for ${idleMs / 1000} s`));
    using _timer = startTimer(idleMs, () => this.#silent.cancel(silence));
    try {
      return await next;
    } catch (error) {
      signal?.throwIfAborted();
      if (this.#silent.isCancelled) throw new AttemptFailure(silence.message);
      throw connectionFailure(subject, error);
    }
  }

  /** Ends the connection, unless the answer has been read to its end. */
  [Symbol.dispose](): void {
    this.#over.cancel(new AbortReason("over", "the answer is not read any further"));
  }
}

async function* bodyOf(response: Response, limits: Limits): AsyncGenerator<Uint8Array> {
  using _ends = limits;
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await limits.bounded(reader.read());
    if (done) return;
    yield value;
  }
}

async function once(request: HttpRequest): Promise<HttpReply> {
  request.signal?.throwIfAborted();
  const limits = new Limits(request);
  try {
    const response = await limits.bounded(
      fetch(request.url, {
        method: request.method,
        headers: { "accept-encoding": "identity", ...request.headers, ...request.secretHeaders },
        body: request.body ?? null,
        redirect: "manual",
        // The digest is that of the bytes as sent.
        decompress: false,
        tls: request.tls,
        signal: limits.signal,
        // `undefined` is what HTTPS_PROXY and NO_PROXY say.
        ...(loopback.test(request.url.hostname) && { proxy: false as const }),
      }),
    );
    observeRequest(request, String(response.status));
    return {
      status: response.status,
      headers: response.headers,
      chunks: () => bodyOf(response, limits),
      cancel: () => limits[Symbol.dispose](),
      request,
    };
  } catch (error) {
    limits[Symbol.dispose]();
    if (request.signal?.aborted !== true) observeRequest(request, "error");
    throw error;
  }
}

/** The host's name comes last in what a token service is called. */
function observeRequest({ subject }: HttpRequest, code: string): void {
  const registry = subject.host.split(" ").at(-1) ?? "";
  observed.count("snapmill_registry_requests_total", { registry, code });
}

/** The request to the redirect's target. Another origin gets neither secrets nor the client certificate. */
function redirected(request: HttpRequest, location: string | null): HttpRequest {
  const { subject, url } = request;
  if (location === null || !URL.canParse(location, url.href)) {
    throw failedPrecondition(`${sentence(subject, "redirects to nowhere")}`);
  }
  const target = new URL(location, url.href);
  if (target.origin === url.origin) return { ...request, url: target };
  const isSafe = target.protocol === "https:" || (target.protocol === "http:" && url.protocol === "http:");
  if (!isSafe)
    throw failedPrecondition(`${sentence(subject, `redirects to ${target.protocol}//, which is not safe,`)}`);
  const { cert: _cert, key: _key, ...trust } = request.tls;
  return { ...request, url: target, secretHeaders: {}, tls: trust };
}

/** Sends a request and follows redirects. Throws AttemptFailure, failed_precondition, or the signal's reason. */
export async function sendRequest(request: HttpRequest): Promise<HttpReply> {
  let current = request;
  for (let hops = 0; hops <= maxRedirects; hops += 1) {
    const reply = await once(current);
    if (request.method === "POST" || !redirects.has(reply.status)) return reply;
    reply.cancel();
    current = redirected(current, reply.headers.get("location"));
  }
  throw failedPrecondition(`${sentence(request.subject, `redirects more than ${maxRedirects} times`)}`);
}

/**
 * The body when it has at most `maxBytes`; undefined, and the connection ended, when it has more. A body that trickles
 * would hold an unpack worker for hours: after twice the time that silence may last, it is deadline_exceeded, for good.
 */
export async function readWhole(reply: HttpReply, maxBytes: number): Promise<Buffer | undefined> {
  const { subject, idleMs } = reply.request;
  const untilMs = performance.now() + 2 * idleMs;
  const chunks: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const chunk of reply.chunks()) {
    if (performance.now() > untilMs) {
      throw deadlineExceeded(sentence(subject, `took more than ${(2 * idleMs) / 1000} s for ${lengthBytes} bytes`));
    }
    lengthBytes += chunk.length;
    if (lengthBytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
