// Room: test. Owns many small images in a registry, pushed by its API: layers that several share, and one of each image.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { formatPlatform, hostPlatform } from "../../src/images/platform.ts";
import { compressed, type Descriptor, mediaTypes, platformFields, sha256 } from "./images.ts";
import { header, paddingOf, tar } from "./tar.ts";
import { file } from "./tar-entries.ts";

/** A repository that images are pushed to. */
export interface Repository {
  /** `127.0.0.1:<port>` of a registry over plain HTTP. */
  readonly host: string;
  readonly name: string;
  /** The header with which it takes them. */
  readonly authorization?: string;
}

export interface PushedLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

const ask = async (
  { authorization }: Repository,
  url: string,
  init: RequestInit,
  status: number,
): Promise<Response> => {
  const headers = { ...(init.headers as Record<string, string>), ...(authorization && { authorization }) };
  const answer = await fetch(url, { ...init, headers });
  if (answer.status !== status)
    throw new Error(`${init.method ?? "GET"} ${url}: ${answer.status} ${await answer.text()}`);
  return answer;
};

async function pushBlob(repository: Repository, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = sha256(bytes);
  const uploads = `http://${repository.host}/v2/${repository.name}/blobs/uploads/`;
  const begun = await ask(repository, uploads, { method: "POST" }, 202);
  const target = new URL(begun.headers.get("location") ?? "", uploads);
  target.searchParams.set("digest", digest);
  const headers = { "content-type": "application/octet-stream" };
  await ask(repository, target.href, { method: "PUT", headers, body: bytes }, 201);
  return { mediaType, digest, size: bytes.length };
}

/** A layer of one file for each of `names`, of 2 KB each. */
export async function pushLayer(repository: Repository, names: readonly string[]): Promise<PushedLayer> {
  const bytes = tar(names.map((name) => file(name, name.padEnd(2_000, "."))));
  const blob = compressed(bytes, "gzip");
  return {
    descriptor: await pushBlob(repository, mediaTypes.oci.layer("gzip"), blob),
    diffId: sha256(bytes),
  };
}

/** A layer of one file of `mebibytes` that is less than 1 MiB as a blob. */
export async function pushLargeLayer(repository: Repository, mebibytes: number): Promise<PushedLayer> {
  const part = Buffer.alloc(1 << 20, "snapmill");
  const lengthBytes = mebibytes * part.length;
  const head = header({ name: Buffer.from("large"), typeflag: "0", sizeBytes: lengthBytes, mode: 0o644 });
  const end = Buffer.concat([paddingOf(lengthBytes), Buffer.alloc(1024)]);
  const hash = createHash("sha256").update(head);
  for (let count = 0; count < mebibytes; count += 1) hash.update(part);
  const member = gzipSync(part);
  const members = [gzipSync(head), ...Array.from({ length: mebibytes }, () => member), gzipSync(end)];
  return {
    descriptor: await pushBlob(repository, mediaTypes.oci.layer("gzip"), Buffer.concat(members)),
    diffId: `sha256:${hash.update(end).digest("hex")}`,
  };
}

/** An image of these layers, bottom first; returns the reference to pull it by. */
export async function pushImage(repository: Repository, tag: string, layers: readonly PushedLayer[]): Promise<string> {
  const { host, name } = repository;
  const rootfs = { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) };
  const config = { ...platformFields(formatPlatform(hostPlatform())), rootfs };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.oci.manifest,
    config: await pushBlob(repository, mediaTypes.oci.config, Buffer.from(JSON.stringify(config))),
    layers: layers.map(({ descriptor }) => descriptor),
  };
  const url = `http://${host}/v2/${name}/manifests/${tag}`;
  const headers = { "content-type": mediaTypes.oci.manifest };
  await ask(repository, url, { method: "PUT", headers, body: JSON.stringify(manifest) }, 201);
  return `${host}/${name}:${tag}`;
}

export interface ManyImages {
  readonly references: readonly string[];
  /** Of each image: the layer that no other has. */
  readonly ownLayers: readonly PushedLayer[];
  /** Layers that images share: each has one of them below its own. */
  readonly sharedLayers: readonly PushedLayer[];
}

const pushesAtATime = 8;

export async function pushManyImages(repository: Repository, count: number): Promise<ManyImages> {
  const references: string[] = [];
  const ownLayers: PushedLayer[] = [];
  const bases = Array.from({ length: Math.ceil(count / 50) }, (_, index) => [`base-${index}/one`, `base-${index}/two`]);
  const sharedLayers = await Promise.all(bases.map((names) => pushLayer(repository, names)));
  let next = 0;
  const pushAll = async () => {
    for (let index = next++; index < count; index = next++) {
      const own = await pushLayer(repository, [`app-${index}/main`, `app-${index}/settings`]);
      const base = sharedLayers[index % sharedLayers.length] as PushedLayer;
      ownLayers[index] = own;
      references[index] = await pushImage(repository, `image-${index}`, [base, own]);
    }
  };
  await Promise.all(Array.from({ length: pushesAtATime }, pushAll));
  return { references, ownLayers, sharedLayers };
}

/** Changes a byte of a blob in the files of the registry that was started on `directory`. */
export function corrupt(directory: string, { descriptor: { digest } }: PushedLayer): void {
  const hex = digest.slice("sha256:".length);
  const path = join(directory, "blobs/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  writeFileSync(path, bytes.with(middle, (bytes[middle] ?? 0) ^ 0xff));
}
