// Room: images. Owns the fetching of manifests, indexes and configurations from a registry, by name and by digest.
import { asSnapmillError } from "../../domain/errors.ts";
import { type Digest, digest } from "../../domain/identifiers.ts";
import type { DocumentKind } from "../document-reader.ts";
import { FetchFailure, LimitExceeded, maxDocumentBytes, sha256Of } from "../document-reader.ts";
import type { Descriptor } from "../documents.ts";
import { indexTypes, manifestTypes } from "../index-entry.ts";
import { AttemptFailure, sentence } from "./failures.ts";
import type { RegistryHost } from "./hosts.ts";
import type { RegistryName } from "./name.ts";
import type { Question, Repository } from "./repository.ts";
import { readWhole } from "./transport.ts";

/** The most documents fetched for one image, with the search for its platform. */
const maxFetches = 100;
const accepted = [...manifestTypes, ...indexTypes].join(", ");

export interface FetchedDocument {
  readonly bytes: Buffer;
  readonly digest: Digest;
  /** As the registry says; "" when it does not. */
  readonly contentType: string;
}

async function fetchOnce(repository: Repository, host: RegistryHost, question: Question): Promise<FetchedDocument> {
  const reply = await repository.ask(host, question);
  const subject = { host: host.name, repository: repository.options.repository, what: question.what };
  if (reply.status !== 200) {
    reply.cancel();
    throw new AttemptFailure(sentence(subject, "answered with a part that was not asked for"));
  }
  const bytes = await readWhole(reply, maxDocumentBytes);
  const final = (said: string) => new FetchFailure("failed_precondition", sentence(subject, said));
  if (bytes === undefined) throw final(`sent more than ${maxDocumentBytes} bytes`);
  const digest = sha256Of(bytes);
  const promised = reply.headers.get("docker-content-digest");
  if (promised?.startsWith("sha256:") === true && promised !== digest) {
    throw final(`sent other bytes (their digest is ${digest}) than it said (${promised})`);
  }
  const [contentType = ""] = (reply.headers.get("content-type") ?? "").split(";");
  return { bytes, digest, contentType: contentType.trim() };
}

/** Marks a failed fetch: the search for a platform must not take it for an absent manifest. */
async function orFetchFailure<T>(repository: Repository, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    repository.options.signal?.throwIfAborted();
    const { code, message } = asSnapmillError(error);
    throw new FetchFailure(code, message, { cause: error });
  }
}

/**
 * The digest that a registry says a name stands for, without any document being sent. Undefined: no registry says it; to
 * resolve the name tells why. Asked once, of hosts that may resolve. Throws the signal's reason.
 */
export async function digestOfName(repository: Repository, name: RegistryName): Promise<Digest | undefined> {
  if (name.digest !== undefined) return name.digest;
  const tag = name.tag ?? "latest";
  const question = {
    path: `manifests/${tag}`,
    what: `the manifest ${tag}`,
    headers: { accept: accepted },
    method: "HEAD",
  } as const;
  for (const host of repository.options.hosts.filter(({ capabilities }) => capabilities.has("resolve"))) {
    try {
      const reply = await repository.ask(host, question);
      reply.cancel();
      return digest(reply.headers.get("docker-content-digest") ?? "");
    } catch {
      repository.options.signal?.throwIfAborted();
    }
  }
  return undefined;
}

/** The documents of one image. Errors: FetchFailure, and the signal's reason. */
export class RegistryDocuments {
  readonly #repository: Repository;
  readonly #fetched = new Map<Digest, FetchedDocument>();

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  /** The document that the name stands for. A tag is resolved only at hosts with that capability. */
  async named({ tag, digest }: RegistryName): Promise<FetchedDocument> {
    if (digest !== undefined) return this.#verified("manifests", digest, "the manifest");
    const name = tag ?? "latest";
    const question = { path: `manifests/${name}`, what: `the manifest ${name}`, headers: { accept: accepted } };
    const found = await orFetchFailure(this.#repository, () =>
      this.#repository.onHosts("resolve", (host) => fetchOnce(this.#repository, host, question)),
    );
    this.#fetched.set(found.digest, found);
    return found;
  }

  /** The document of a descriptor. */
  async described({ digest }: Descriptor, kind: DocumentKind): Promise<Buffer> {
    const found = await this.#verified(kind === "configuration" ? "blobs" : "manifests", digest, `the ${kind}`);
    return found.bytes;
  }

  /** The document with this digest, verified, from any host that may `pull`. */
  async #verified(kind: "manifests" | "blobs", digest: Digest, name: string): Promise<FetchedDocument> {
    const known = this.#fetched.get(digest);
    if (known !== undefined) return known;
    if (this.#fetched.size >= maxFetches)
      throw new LimitExceeded(`more than ${maxFetches} documents had to be fetched to find it; name it by its digest`);
    const what = `${name} ${digest}`;
    const question = { path: `${kind}/${digest}`, what, headers: kind === "manifests" ? { accept: accepted } : {} };
    const found = await orFetchFailure(this.#repository, () =>
      this.#repository.onHosts("pull", async (host) => {
        const fetched = await fetchOnce(this.#repository, host, question);
        if (fetched.digest === digest) return fetched;
        const subject = { host: host.name, repository: this.#repository.options.repository, what };
        const said = `sent other bytes (their digest is ${fetched.digest})`;
        throw new FetchFailure("failed_precondition", sentence(subject, said));
      }),
    );
    this.#fetched.set(digest, found);
    return found;
  }
}
