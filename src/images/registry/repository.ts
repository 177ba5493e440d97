// Room: images. Owns the requests for one repository: authorized when the registry asks for it, host by host.
import { isSnapmillError, SnapmillError } from "../../domain/errors.ts";
import type { Authorization } from "./authorization.ts";
import { parseChallenges, preferred } from "./challenge.ts";
import { AttemptFailure, errorText, type Secrets, type Subject, statusFailure } from "./failures.ts";
import type { Capability, RegistryHost } from "./hosts.ts";
import { type Patience, retrying } from "./retry.ts";
import { type HttpReply, readWhole, sendRequest } from "./transport.ts";

export interface RepositoryOptions {
  readonly hosts: readonly RegistryHost[];
  readonly repository: string;
  readonly authorization: Authorization;
  readonly secrets: Secrets;
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
}

export interface Question {
  /** Below the repository: "manifests/latest". */
  readonly path: string;
  /** The name in errors: "the manifest latest". */
  readonly what: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Default: GET. */
  readonly method?: "HEAD";
}

const maxErrorBytes = 64 << 10;

export class Repository {
  readonly options: RepositoryOptions;

  constructor(options: RepositoryOptions) {
    this.options = options;
    for (const { headers } of options.hosts) options.secrets.addHeaders(headers);
  }

  /** The same repository, whose requests also end with `signal`. */
  until(signal: AbortSignal | undefined): Repository {
    if (signal === undefined) return this;
    const signals = this.options.signal === undefined ? [signal] : [this.options.signal, signal];
    return new Repository({ ...this.options, signal: AbortSignal.any(signals) });
  }

  /** The hosts with the capability, in the order in which they are asked. */
  hostsThat(capability: Capability): readonly RegistryHost[] {
    const hosts = this.options.hosts.filter(({ capabilities }) => capabilities.has(capability));
    if (hosts.length > 0) return hosts;
    const { repository } = this.options;
    throw new SnapmillError("failed_precondition", `no host may ${capability} ${repository}: see its hosts.toml`);
  }

  /**
   * One attempt. Returns only 200 and 206; the caller reads or cancels the body. Throws AttemptFailure for what is worth
   * a retry, a SnapmillError for what is final.
   */
  async ask(host: RegistryHost, question: Question): Promise<HttpReply> {
    const subject: Subject = { host: host.name, repository: this.options.repository, what: question.what };
    const { authorization, secrets, signal, patience } = this.options;
    const known = authorization.known(host, subject.repository);
    if (known !== undefined) secrets.addAuthorization(known);
    const reply = await this.#send(host, subject, question, known);
    if (reply.status === 200 || reply.status === 206) return reply;
    if (reply.status !== 401) throw await this.#failure(subject, reply);
    const challenge = preferred(parseChallenges(reply.headers.get("www-authenticate")));
    const asking = { host, subject, secrets, idleMs: patience.idleMs, signal };
    if (challenge === undefined) throw await this.#failure(subject, reply);
    const refusal = await this.#failure(subject, reply, "; no credentials for it were found");
    const shown = await authorization.answer(asking, challenge);
    if (shown === undefined) throw refusal;
    const second = await this.#send(host, subject, question, shown);
    if (second.status === 200 || second.status === 206) return second;
    throw await this.#failure(subject, second);
  }

  /**
   * The result of `work` on the first host where it succeeds. A mirror has one attempt; the last host has as many as
   * patience allows. Errors: the last host's, followed by those of the mirrors.
   */
  async onHosts<T>(capability: Capability, work: (host: RegistryHost) => Promise<T>): Promise<T> {
    const hosts = this.hostsThat(capability);
    const { patience, signal } = this.options;
    const passedOver: string[] = [];
    for (const [index, host] of hosts.entries()) {
      try {
        if (index === hosts.length - 1) return await retrying(patience, signal, () => work(host));
        return await work(host);
      } catch (error) {
        signal?.throwIfAborted();
        if (index === hosts.length - 1) throw withMirrors(error, passedOver);
        passedOver.push(error instanceof Error ? error.message : String(error));
      }
    }
    throw new SnapmillError("internal", "a registry has at least one host");
  }

  #send(host: RegistryHost, { what }: Subject, question: Question, shown: string | undefined): Promise<HttpReply> {
    const { repository, patience, signal } = this.options;
    const url = new URL(`${host.baseUrl}/${repository}/${question.path}`);
    if (host.namespace !== undefined) url.searchParams.set("ns", host.namespace);
    return sendRequest({
      method: question.method ?? "GET",
      url,
      headers: question.headers,
      secretHeaders: { ...host.headers, ...(shown !== undefined && { authorization: shown }) },
      tls: host.tls,
      subject: { host: host.name, repository, what },
      idleMs: patience.idleMs,
      signal,
    });
  }

  async #failure(subject: Subject, reply: HttpReply, hint = "") {
    const body = await readWhole(reply, maxErrorBytes).catch((error: unknown) => {
      this.options.signal?.throwIfAborted();
      if (error instanceof AttemptFailure) return undefined;
      throw error;
    });
    return statusFailure(subject, reply, errorText(body?.toString("utf8") ?? "", this.options.secrets), hint);
  }
}

/** `error`, with the failures of the hosts before it appended. */
export function withMirrors(error: unknown, passedOver: readonly string[]): unknown {
  if (passedOver.length === 0 || !isSnapmillError(error)) return error;
  return new SnapmillError(error.code, `${error.message} (before it: ${passedOver.join("; ")})`, { cause: error });
}
