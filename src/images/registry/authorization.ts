// Room: images. Owns the authorization of requests: passwords, and access tokens, which are cached until they expire.
import { z } from "zod";
import { failedPrecondition } from "../../domain/errors.ts";
import type { Credential } from "./auth-file.ts";
import type { Challenge } from "./challenge.ts";
import { errorText, type Secrets, type Subject, sentence, statusFailure } from "./failures.ts";
import type { RegistryHost } from "./hosts.ts";
import { type HttpRequest, readWhole, sendRequest } from "./transport.ts";

interface Shown {
  /** Of the header `authorization`. */
  readonly value: string;
  readonly untilMs: number;
}

export interface Asking {
  readonly host: RegistryHost;
  readonly subject: Subject;
  /** Every secret that is sent is added here. */
  readonly secrets: Secrets;
  readonly idleMs: number;
  readonly signal: AbortSignal | undefined;
}

const maxAnswerBytes = 1 << 20;
/** The lifetime of a token whose service names none (distribution's token specification). */
const defaultLifeSeconds = 60;
/** A token is not used in the last tenth of its lifetime: a request takes time, and clocks differ. */
const usableShare = 0.9;

const answer = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().positive().optional(),
});

const basic = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

/** The URL of the token service. A registry over HTTPS cannot have a secret sent over plain HTTP. */
function realmOf({ host, subject }: Asking, { parameters }: Challenge, hasSecret: boolean): URL {
  const realm = parameters["realm"] ?? "";
  if (!URL.canParse(realm) || !/^https?:$/.test(new URL(realm).protocol)) {
    throw failedPrecondition(`${sentence(subject, "names a token service that is no URL")}`);
  }
  const url = new URL(realm);
  if (hasSecret && url.protocol === "http:" && host.baseUrl.startsWith("https:")) {
    throw failedPrecondition(`${sentence(subject, `names a token service over plain HTTP (${url.host})`)}`);
  }
  return url;
}

export type FindCredential = (
  host: string,
  repository: string,
  signal: AbortSignal | undefined,
) => Promise<Credential | undefined>;

/** The most repositories whose authorization is cached. */
const maxKept = 1000;

/** The cache of one auth file, or of the default places: tokens of one must not be used for another. */
export class Authorization {
  readonly #find: FindCredential;
  readonly #shown = new Map<string, Shown>();

  constructor(find: FindCredential) {
    this.#find = find;
  }

  /** The last authorization for this repository at `host`, unless it has expired. */
  known(host: RegistryHost, repository: string): string | undefined {
    const key = keyOf(host, repository);
    const shown = this.#shown.get(key);
    if (shown !== undefined && shown.untilMs > Date.now()) return shown.value;
    this.#shown.delete(key);
    return undefined;
  }

  /**
   * The authorization that answers `challenge`; undefined when there are no credentials. Errors: those of
   * `findCredential`, and of requests to the token service.
   */
  async answer(asking: Asking, challenge: Challenge): Promise<string | undefined> {
    const { host, subject, signal } = asking;
    this.#shown.delete(keyOf(host, subject.repository));
    const credential = await this.#find(host.name, subject.repository, signal);
    const shown = await this.#shownFor(asking, challenge, credential);
    if (shown === undefined) return undefined;
    asking.secrets.addAuthorization(shown.value);
    if (this.#shown.size >= maxKept) this.#shown.clear();
    this.#shown.set(keyOf(host, subject.repository), shown);
    return shown.value;
  }

  async #shownFor(
    asking: Asking,
    challenge: Challenge,
    credential: Credential | undefined,
  ): Promise<Shown | undefined> {
    const forever = (value: string): Shown => ({ value, untilMs: Number.POSITIVE_INFINITY });
    switch (credential?.kind) {
      case "bearer":
        return forever(`Bearer ${credential.token}`);
      case "basic":
        asking.secrets.add(credential.password);
        if (challenge.scheme === "basic") return forever(basic(credential.username, credential.password));
        return this.#token(asking, challenge, credential);
      case "identity":
        asking.secrets.add(credential.token);
        return challenge.scheme === "basic" ? undefined : this.#token(asking, challenge, credential);
      case undefined:
        return challenge.scheme === "basic" ? undefined : this.#token(asking, challenge, undefined);
    }
  }

  async #token(asking: Asking, challenge: Challenge, credential: Credential | undefined): Promise<Shown> {
    const url = realmOf(asking, challenge, credential !== undefined);
    const subject: Subject = { ...asking.subject, host: `the token service ${url.host}` };
    const request = tokenRequest(url, challenge, credential, asking);
    // The service may quote the request in its error.
    for (const value of Object.values(request.secretHeaders)) asking.secrets.addAuthorization(value);
    const reply = await sendRequest({ ...request, subject });
    const body = (await readWhole(reply, maxAnswerBytes))?.toString("utf8") ?? "";
    if (reply.status !== 200) {
      const hint = credential === undefined ? "; no credentials for it were found" : "";
      throw statusFailure(subject, reply, errorText(body, asking.secrets), hint);
    }
    const parsed = answer.safeParse(jsonOf(body));
    const token = parsed.data?.token ?? parsed.data?.access_token;
    if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
      throw failedPrecondition(`${sentence(subject, "gave no token")}`);
    }
    const lifeMs = (parsed.data?.expires_in ?? defaultLifeSeconds) * 1000;
    return { value: `Bearer ${token}`, untilMs: Date.now() + lifeMs * usableShare };
  }
}

const keyOf = (host: RegistryHost, repository: string): string => `${host.baseUrl} ${repository}`;

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** GET with a password or nothing, POST with a refresh token (OAuth2): distribution's token specifications. */
function tokenRequest(
  realm: URL,
  { parameters }: Challenge,
  credential: Credential | undefined,
  { host, subject, idleMs, signal }: Asking,
): HttpRequest {
  const { service, scope = `repository:${subject.repository}:pull` } = parameters;
  const fields = new URLSearchParams({ ...(service !== undefined && { service }), scope });
  // The client certificate is for the registry alone: the token service may be another host.
  const { cert: _cert, key: _key, ...tls } = host.tls;
  const shared = { headers: {}, secretHeaders: {}, tls, subject, idleMs, signal };
  if (credential?.kind === "identity") {
    const form = { grant_type: "refresh_token", client_id: "snapmill", refresh_token: credential.token };
    for (const [name, value] of Object.entries(form)) fields.set(name, value);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return { ...shared, method: "POST", url: realm, headers, body: fields.toString() };
  }
  const url = new URL(realm);
  for (const [name, value] of fields) url.searchParams.append(name, value);
  if (credential?.kind !== "basic") return { ...shared, method: "GET", url };
  url.searchParams.set("account", credential.username);
  const secretHeaders = { authorization: basic(credential.username, credential.password) };
  return { ...shared, method: "GET", url, secretHeaders };
}
