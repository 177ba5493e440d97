// Room: test. Owns a token service for registries (the token specification of distribution), and a record of its requests.
import { createSign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Certificates } from "./certificates.ts";

export interface TokenRequest {
  readonly method: string;
  readonly authorization: string | null;
  /** From the query or the form. */
  readonly fields: Readonly<Record<string, string>>;
}

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Grants `pull` to user and password, to the refresh token, and, for repositories below `public/`, to all. */
export class TokenService implements Disposable {
  readonly issuer = "test-issuer";
  readonly service = "test-registry";
  readonly requests: TokenRequest[] = [];
  lifeSeconds = 300;
  readonly #server: Bun.Server<undefined>;
  readonly #certificates: Certificates;
  readonly #allowed: ReadonlySet<string>;

  constructor(certificates: Certificates, login: { user: string; password: string; refreshToken: string }) {
    this.#certificates = certificates;
    this.#allowed = new Set([`Basic ${btoa(`${login.user}:${login.password}`)}`, login.refreshToken]);
    this.#server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => this.#answer(request) });
  }

  get realm(): string {
    return new URL("/token", this.#server.url).href;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const isForm = request.method === "POST";
    const parameters = isForm ? new URLSearchParams(await request.text()) : new URL(request.url).searchParams;
    const fields = Object.fromEntries(parameters);
    const authorization = request.headers.get("authorization");
    this.requests.push({ method: request.method, authorization, fields });
    const shown = isForm ? fields["refresh_token"] : authorization;
    const [, repository = ""] = (fields["scope"] ?? "").split(":");
    const isKnown = shown != null && this.#allowed.has(shown);
    if (shown != null && !isKnown) return Response.json({ details: "incorrect username or password" }, { status: 401 });
    const token = this.#sign(isKnown || repository.startsWith("public/") ? repository : undefined);
    return Response.json({ [isForm ? "access_token" : "token"]: token, expires_in: this.lifeSeconds });
  }

  #sign(repository: string | undefined): string {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const der = new X509Certificate(readFileSync(this.#certificates.certificate)).raw.toString("base64");
    const claims = {
      iss: this.issuer,
      sub: "test",
      aud: this.service,
      iat: nowSeconds,
      nbf: nowSeconds - 10,
      exp: nowSeconds + 300,
      jti: crypto.randomUUID(),
      access: repository === undefined ? [] : [{ type: "repository", name: repository, actions: ["pull"] }],
    };
    const signed = `${encoded({ typ: "JWT", alg: "ES256", x5c: [der] })}.${encoded(claims)}`;
    const key = { key: readFileSync(this.#certificates.key), dsaEncoding: "ieee-p1363" as const };
    return `${signed}.${createSign("sha256").update(signed).sign(key).toString("base64url")}`;
  }
}
