// Room: api. Owns the listening on TCP: limits of connections and bodies, and HTTPS with certificates that are renewed.
import { readdirSync } from "node:fs";
import type { Logger } from "pino";
import { asSnapmillError, failedPrecondition, invalidArgument } from "../../domain/errors.ts";
import { type Address, urlOf } from "../../domain/http-address.ts";
import { type Certificate, type CertificateFiles, readCertificate, stampOf } from "./certificate.ts";
import { maxRequestBodySize } from "./request-body.ts";
import type { Fetch } from "./socket.ts";

export interface ListenOptions {
  readonly address: Address;
  /** Undefined: plain HTTP. */
  readonly certificate?: CertificateFiles | undefined;
  readonly fetch: Fetch;
  readonly log: Logger;
}

/** Closes idle connections; Bun also closes one that sends its headers, body or TLS handshake too slowly. */
export const idleTimeoutSeconds = 10;
/** Certificates are looked at, and descriptors counted, this often. */
const lookEveryMs = 1_000;
/** The process has other uses for its descriptors (databases, workers): above this, connections that do nothing end. */
const maxDescriptors = 4_096;
const warnBeforeExpiryMs = 14 * 86_400_000;

export class Listener implements AsyncDisposable {
  readonly url: string;
  readonly #options: ListenOptions;
  readonly #timer: Timer;
  readonly #port: number;
  #server: Bun.Server<undefined>;
  /** Of a certificate that was replaced: they answer what they have begun. */
  readonly #leaving = new Set<Bun.Server<undefined>>();
  #files: CertificateFiles | undefined;
  #stamp: string | undefined;

  /** Throws failed_precondition if the address is in use or the certificate is not usable, invalid_argument for others. */
  constructor(options: ListenOptions) {
    this.#options = options;
    const { address, certificate } = options;
    this.#files = certificate;
    this.#stamp = certificate && stampOf(certificate);
    this.#server = this.#listen(address.port, certificate && this.#judged(readCertificate(certificate)));
    this.#port = this.#server.port ?? address.port;
    this.url = urlOf({ ...address, port: this.#port }, certificate === undefined ? "http" : "https");
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([this.#server, ...this.#leaving].map((server) => server.stop(true)));
  }

  /**
   * Serves HTTPS with these files from now on; requests that were begun are answered. Throws failed_precondition if they
   * are not usable, and goes on as before. Plain HTTP stays plain.
   */
  useCertificate(files: CertificateFiles): void {
    const known = this.#files;
    if (known === undefined || (known.certificate === files.certificate && known.key === files.key)) return;
    const stamp = stampOf(files);
    this.#replace(this.#judged(readCertificate(files)));
    this.#files = files;
    this.#stamp = stamp;
    this.#options.log.info(`HTTPS uses the certificate ${files.certificate}`);
  }

  #look(): void {
    try {
      this.#renew();
    } catch (error) {
      this.#options.log.error(`HTTPS goes on with the certificate that it had: ${asSnapmillError(error).message}`);
    }
    this.#shed();
  }

  /** A file that changed without being usable is looked at again when it changes again. */
  #renew(): void {
    const files = this.#files;
    if (files === undefined) return;
    const stamp = stampOf(files);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    this.#replace(this.#judged(readCertificate(files)));
    this.#options.log.info(`HTTPS uses the renewed certificate ${files.certificate}`);
  }

  #replace(certificate: Certificate): void {
    // Bun cannot exchange the certificate of a server. Its port is free as soon as it no longer listens.
    const old = this.#server;
    this.#leaving.add(old);
    void old.stop(false).finally(() => this.#leaving.delete(old));
    try {
      this.#server = this.#listen(this.#port, certificate);
    } catch (error) {
      // Tried again with the next look.
      this.#stamp = undefined;
      throw error;
    }
  }

  #judged(certificate: Certificate): Certificate {
    if (certificate.expiresAtMs - Date.now() < warnBeforeExpiryMs) {
      this.#options.log.warn(`the certificate of HTTPS expires on ${new Date(certificate.expiresAtMs).toUTCString()}`);
    }
    return certificate;
  }

  #shed(): void {
    const descriptors = countDescriptors();
    if (descriptors !== undefined && descriptors <= maxDescriptors) return;
    const closed = this.#server.closeIdleConnections();
    this.#options.log.warn(`too many connections: ${closed} that did nothing were closed`);
  }

  #listen(port: number, certificate: Certificate | undefined): Bun.Server<undefined> {
    const { address, fetch } = this.#options;
    try {
      return Bun.serve({
        hostname: address.hostname,
        port,
        fetch,
        maxRequestBodySize,
        idleTimeout: idleTimeoutSeconds,
        ...(certificate && { tls: { cert: certificate.cert, key: certificate.key } }),
      });
    } catch (error) {
      const where = `${address.hostname}:${port}`;
      if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
        throw failedPrecondition(`HTTP address ${where} is in use: choose another with --http-address`, error);
      }
      const reason = error instanceof Error ? error.message : String(error);
      throw invalidArgument(`HTTP cannot be served at ${where}: ${reason}`, error);
    }
  }
}

/** Undefined: there is none left to count them with. */
function countDescriptors(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}
