import { describe, expect, test } from "bun:test";
import { link, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isSnapmillError } from "../../src/domain/errors.ts";
import { openImage } from "../../src/images/resolve.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { BlobReader } from "../../src/unpack/blob.ts";
import { packDockerArchive } from "../support/archives.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { blobPath, sha256, writeImage, writeLayout } from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { file } from "../support/tar-entries.ts";
import { expectRefusal, failure } from "./refusal.ts";

const platform = "linux/amd64";
const content = [file("hello.txt", "hello")];

/** Puts what `make` makes in the place of the file at `path`, which is kept beside it. */
async function replace(path: string, make: (path: string) => Promise<unknown>): Promise<string> {
  const kept = `${path}.kept`;
  await rename(path, kept);
  await make(path);
  return kept;
}

const fifo = (path: string) => runCommand("mkfifo", [path]);

async function readBlob(blob: ConstructorParameters<typeof BlobReader>[0]): Promise<unknown> {
  try {
    for await (const chunk of new BlobReader(blob).chunks()) expect(chunk.length).toBeGreaterThan(0);
    return "it was read";
  } catch (error) {
    return isSnapmillError(error) ? error.message : error;
  }
}

describe("a pipe in the place of a file of a layout is refused, not waited for", () => {
  test("whichever it is", async () => {
    await using directory = await temporaryDirectory();
    const { reference, manifest, config, layers } = await writeImage(directory.path, [{ content }], { platform });
    const blobs = [manifest.digest, config.digest, layers[0]?.digest ?? ""].map((digest) =>
      blobPath(directory.path, digest),
    );
    for (const path of [join(directory.path, "oci-layout"), join(directory.path, "index.json"), ...blobs]) {
      const kept = await replace(path, fifo);
      await expectRefusal(reference, "failed_precondition", /is not a regular file: it is a pipe/);
      await rename(kept, path);
    }
    await using image = await openImage(reference, platform);
    expect(image.layers.length).toBe(1);
  });

  test("also when it was a file until the layer is read", async () => {
    await using directory = await temporaryDirectory();
    const { reference } = await writeImage(directory.path, [{ content }], { platform });
    await using image = await openImage(reference, platform);
    const blob = image.layers[0]?.blob;
    if (blob === undefined) throw new Error("no layer");
    expect(await readBlob(blob)).toBe("it was read");
    await replace(blob.path, fifo);
    expect(await readBlob(blob)).toBe(`${blob.path} is not a regular file: it is a pipe`);
  });
});

describe("a link that leads out of a layout is refused, and nothing is said of what is there", () => {
  /** What no message may hold. */
  const secret = "root:x:0:0:the secret";

  async function secretFile(directory: string): Promise<string> {
    await writeFile(join(directory, "secret"), secret);
    return join(directory, "secret");
  }

  function expectNothingTold(error: unknown): void {
    expect(isSnapmillError(error, "failed_precondition") ? error.message : error).toMatch(
      /is a link|but a link that leads elsewhere/,
    );
    const told = String(error) + String((error as Error).cause);
    for (const part of [sha256(Buffer.from(secret)), secret.slice(0, 4), `${secret.length} bytes`])
      expect(told).not.toContain(part);
  }

  test("whichever file it stands for", async () => {
    await using directory = await temporaryDirectory();
    await using elsewhere = await temporaryDirectory();
    const target = await secretFile(elsewhere.path);
    const { reference, manifest, config, layers } = await writeImage(directory.path, [{ content }], { platform });
    const blobs = [manifest.digest, config.digest, layers[0]?.digest ?? ""].map((digest) =>
      blobPath(directory.path, digest),
    );
    for (const path of [join(directory.path, "oci-layout"), join(directory.path, "index.json"), ...blobs]) {
      for (const to of [target, join(elsewhere.path, "nothing")]) {
        const kept = await replace(path, (at) => symlink(to, at));
        expectNothingTold(await failure(reference));
        await rename(kept, path);
      }
    }
  });

  test("also when it was a file until the layer is read", async () => {
    await using directory = await temporaryDirectory();
    await using elsewhere = await temporaryDirectory();
    const { reference } = await writeImage(directory.path, [{ content }], { platform });
    await using image = await openImage(reference, platform);
    const blob = image.layers[0]?.blob;
    if (blob === undefined) throw new Error("no layer");
    const target = join(elsewhere.path, "blob");
    await writeFile(target, await readFile(blob.path));
    await replace(blob.path, (at) => symlink(target, at));
    expect(await readBlob(blob)).toContain("but a link that leads elsewhere");
    await rm(dirname(blob.path), { recursive: true });
    await symlink(elsewhere.path, dirname(blob.path));
    await rename(target, join(elsewhere.path, blob.path.slice(dirname(blob.path).length + 1)));
    expect(await readBlob(blob)).toContain("but a link that leads elsewhere");
  });

  test("but links within it, to it and hard links are files", async () => {
    await using directory = await temporaryDirectory();
    await using elsewhere = await temporaryDirectory();
    const layout = join(directory.path, "layout");
    const { manifest, config } = await writeImage(layout, [{ content }], { platform });
    await mkdir(join(layout, "store"));
    await replace(blobPath(layout, manifest.digest), async (at) => {
      await rename(`${at}.kept`, join(layout, "store/manifest"));
      await symlink("../../store/manifest", at);
    });
    await replace(blobPath(layout, config.digest), async (at) => {
      await link(`${at}.kept`, join(elsewhere.path, "config"));
      await link(join(elsewhere.path, "config"), at);
    });
    await symlink(layout, join(directory.path, "linked"));
    await using image = await openImage(`oci:${directory.path}/linked:test`, platform);
    expect(String(image.manifestDigest)).toBe(manifest.digest);
  });
});

describe("an archive that is no file is refused, and named with the way out", () => {
  test("a pipe, a device, and a descriptor of another process", async () => {
    await using directory = await temporaryDirectory();
    const pipe = join(directory.path, "pipe");
    await fifo(pipe);
    const child = Bun.spawn(["sleep", "60"], { stdin: "pipe" });
    try {
      for (const path of [pipe, "/dev/zero", `/proc/${child.pid}/fd/0`]) {
        for (const transport of ["docker-archive", "oci-archive"])
          await expectRefusal(
            `${transport}:${path}`,
            "failed_precondition",
            /is a pipe or a device: .* must be a file \(docker save -o FILE IMAGE\)/,
          );
      }
    } finally {
      child.kill();
      await child.exited;
    }
  });

  test("what is put in its place later does not lead elsewhere", async () => {
    await using directory = await temporaryDirectory();
    await using elsewhere = await temporaryDirectory();
    const archive = join(directory.path, "image.tar");
    const layout = await writeLayout(join(directory.path, "layout"), [
      { image: { platform, layers: [{ content, form: "none" }] } },
    ]);
    await packDockerArchive(layout, archive);
    await using image = await openImage(`docker-archive:${archive}`, platform);
    const blob = image.layers[0]?.blob;
    if (blob === undefined) throw new Error("no layer");
    expect(blob.lengthBytes).toBe(tar(content).length);
    await rename(archive, join(elsewhere.path, "image.tar"));
    await symlink(join(elsewhere.path, "image.tar"), archive);
    expect(await readBlob(blob)).toContain("but a link that leads elsewhere");
  });
});
