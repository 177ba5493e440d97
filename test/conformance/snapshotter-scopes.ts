// Owns the isolation of scopes that every snapshotter must keep, and the layers that it shows in several scopes.
import { expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chainId, childChainId, diffId, digest, freshOperationId, ownScope } from "../../src/domain/identifiers.ts";
import { type Labels, labelNames } from "../../src/domain/snapshots.ts";
import type { UnpackedImage } from "../../src/jobs/contract.ts";
import { setDeviceState } from "../../src/metadata/devices.ts";
import { listImages } from "../../src/metadata/images.ts";
import { deviceUnder } from "../../src/metadata/snapshots.ts";
import { sha256 } from "../support/images.ts";
import { Client, codeOf, mounted, type SnapshotterFixture } from "./snapshotter-fixture.ts";

/** Two layers that snapmill has unpacked, and the image that they are. */
interface Layers extends AsyncDisposable {
  readonly own: Client;
  readonly lower: string;
  readonly upper: string;
}

/** Declares the tests of scopes. */
export function describeScopes(newClient: () => Client, fixture: () => SnapshotterFixture): void {
  test("a client sees, finds, changes and removes only what is in its scope", async () => {
    const [one, other] = [newClient(), newClient()];
    await one.layer("layer", undefined, (root) => writeFileSync(join(root, "of"), "one"));
    await one.prepare("active", "layer");
    expect(other.walk()).toEqual([]);
    expect(other.walk("name==layer", "kind==active", "parent==layer")).toEqual([]);
    expect(() => other.stat("layer")).toThrow("does not exist");
    for (const call of [other.remove("active"), other.update("active", {}), other.prepare("child", "layer")]) {
      expect(await codeOf(call)).toBe("not_found");
    }
    await other.layer("layer", undefined, (root) => writeFileSync(join(root, "of"), "other"));
    expect(await one.seen("layer", (root) => readFileSync(join(root, "of"), "utf8"))).toBe("one");
    await other.remove("layer");
    expect(one.walk()).toEqual(["active", "layer"]);
  });

  test("a layer that snapmill has is shown to a client that is about to unpack it, on the same device", async () => {
    await using layers = await unpacked(fixture());
    const client = newClient();
    const before = (await fixture().driver.list()).length;
    expect(await extract(client, layers.lower)).toBe("already_exists");
    expect(found(client, layers.lower)).toEqual([layers.lower]);
    expect(await extract(client, layers.upper, layers.lower, { "containerd.io/snapshot/cri.x": "1", own: "2" })).toBe(
      "already_exists",
    );
    expect(found(client, layers.upper, layers.lower)).toEqual([layers.upper]);
    expect(client.walk()).toEqual([layers.lower, layers.upper].sort());
    expect((await fixture().driver.list()).length).toBe(before);
    expect(client.stat(layers.upper)).toMatchObject({
      kind: "committed",
      parent: layers.lower,
      deviceNumber: layers.own.stat(layers.upper).deviceNumber,
      labels: { [labelNames.snapshotRef]: layers.upper, "containerd.io/snapshot/cri.x": "1" },
    });
    expect(client.stat(layers.upper).labels["own"]).toBeUndefined();
    for (const name of [layers.lower, layers.upper]) {
      expect(await client.usage(name)).toEqual(await layers.own.usage(name));
    }
    await client.prepare("container", layers.upper);
    await mounted(client.mounts("container"), (root) => appendFileSync(join(root, "file"), ", written to"));
    await client.commit("saved", "container");
    const content = (root: string) => readFileSync(join(root, "file"), "utf8");
    expect(await client.seen("saved", content)).toBe("lower, upper, written to");
    expect(await layers.own.seen(layers.upper, content)).toBe("lower, upper");
  });

  test("it is shown once, however often it is asked for, and an operation that is repeated does nothing more", async () => {
    await using layers = await unpacked(fixture());
    const client = newClient();
    const operationId = freshOperationId();
    const request = client.request("extract-1", undefined, { [labelNames.snapshotRef]: layers.lower });
    expect(await codeOf(fixture().snapshotter.prepare(operationId, request))).toBe("already_exists");
    const first = client.stat(layers.lower);
    expect(await extract(client, layers.lower)).toBe("already_exists");
    expect(await codeOf(fixture().snapshotter.prepare(operationId, request))).toBe("already_exists");
    expect(client.walk()).toEqual([layers.lower]);
    expect(client.stat(layers.lower)).toEqual(first);
    await client.remove(layers.lower);
    expect(await codeOf(fixture().snapshotter.prepare(operationId, request))).toBe("already_exists");
    expect(client.walk()).toEqual([]);
    const both = await Promise.all(Array.from({ length: 16 }, () => extract(client, layers.lower)));
    expect(new Set(both)).toEqual(new Set(["already_exists"]));
    expect(client.walk()).toEqual([layers.lower]);
  });

  test("where it does not fit, the client unpacks it as any other", async () => {
    await using layers = await unpacked(fixture());
    const client = newClient();
    await client.layer("alike", undefined);
    expect(await extract(client, layers.upper)).toBe("no error");
    expect(await extract(client, layers.upper, "alike")).toBe("no error");
    expect(await extract(client, layers.lower, "alike")).toBe("no error");
    expect(await extract(client, childChainId(chainId(layers.lower), diffId(layers.lower)))).toBe("no error");
    expect(await extract(client, "not a chain ID")).toBe("no error");
    expect(await extract(client, layers.lower, undefined, { [labelNames.maxSize]: "512MiB" })).toBe("no error");
    await client.view("looked at", undefined, { [labelNames.snapshotRef]: layers.lower });
    expect(client.walk("kind==committed")).toEqual(["alike"]);
    expect(await extract(layers.own, layers.lower)).toBe("no error");
    for (const key of layers.own.walk("kind==active")) await layers.own.remove(key);
    expect(await codeOf(client.prepare("looked at", undefined, { [labelNames.snapshotRef]: layers.lower }))).toBe(
      "already_exists",
    );
    expect(found(client, layers.lower)).toEqual([]);
  });

  test("nor is it shown in the place of something else, or from a device that is lost", async () => {
    await using layers = await unpacked(fixture());
    const client = newClient();
    await client.layer(layers.lower, undefined, (root) => writeFileSync(join(root, "file"), "its own"));
    expect(await extract(client, layers.lower)).toBe("no error");
    expect(await client.seen(layers.lower, (root) => readFileSync(join(root, "file"), "utf8"))).toBe("its own");
    const third = newClient();
    const { number } = deviceUnder(fixture().database, layers.own.stat(layers.lower));
    setDeviceState(fixture().database, number, "faulty");
    expect(await extract(third, layers.lower)).toBe("no error");
    expect(third.walk("kind==committed")).toEqual([]);
    setDeviceState(fixture().database, number, "deactivated");
    expect(await extract(third, layers.lower)).toBe("already_exists");
  });

  test("a shown layer that is removed stays snapmill's; removed there, it stays as long as a scope uses it", async () => {
    await using layers = await unpacked(fixture());
    const [client, other] = [newClient(), newClient()];
    for (const user of [client, other]) {
      await extract(user, layers.lower);
      await extract(user, layers.upper, layers.lower);
    }
    const devices = async () => (await fixture().driver.list()).length;
    const before = await devices();
    expect(await codeOf(other.remove(layers.lower))).toBe("failed_precondition");
    for (const name of [layers.upper, layers.lower]) await other.remove(name);
    expect(layers.own.walk()).toContain(layers.upper);
    await client.prepare("container", layers.upper);
    expect(await codeOf(client.remove(layers.upper))).toBe("failed_precondition");
    const named = () => listImages(fixture().database).flatMap(({ names }) => names.map(({ reference }) => reference));
    expect(named()).toContain(layers.upper);
    for (const name of [layers.upper, layers.lower]) await layers.own.remove(name);
    expect(named()).not.toContain(layers.upper);
    expect(await devices()).toBe(before + 1);
    expect(await client.seen(layers.upper, (root) => readFileSync(join(root, "file"), "utf8"))).toBe("lower, upper");
    expect(await extract(client, layers.lower)).toBe("already_exists");
    expect(await extract(other, layers.lower)).toBe("no error");
    for (const key of ["container", layers.upper, layers.lower]) await client.remove(key);
    for (const key of other.walk()) await other.remove(key);
    expect(await devices()).toBe(before - 2);
  });
}

let unpackedImages = 0;

/** Layers as an unpack leaves them, under chain IDs that no other test has. Disposing of them removes what is left. */
async function unpacked(fixture: SnapshotterFixture): Promise<Layers> {
  unpackedImages += 1;
  const [lowerDiff, upperDiff] = ["lower", "upper"].map((name) =>
    diffId(sha256(Buffer.from(`${name} ${unpackedImages}`))),
  ) as [ReturnType<typeof diffId>, ReturnType<typeof diffId>];
  const lower = childChainId(undefined, lowerDiff);
  const upper = childChainId(lower, upperDiff);
  const own = new Client(fixture, ownScope);
  await own.layer(lower, undefined, (root) => writeFileSync(join(root, "file"), "lower"));
  await own.layer(upper, lower, (root) => appendFileSync(join(root, "file"), ", upper"));
  const { key } = own.stat(upper);
  const manifestDigest = digest(sha256(Buffer.from(upper)));
  const image: UnpackedImage = {
    image: upper,
    platform: "any",
    manifestDigest,
    chainId: upper,
    snapshot: key,
    layers: [],
  };
  await fixture.snapshotter["settle-unpack"](freshOperationId(), {
    unpackOperationId: freshOperationId(),
    outcome: { kind: "unpacked", image },
  });
  return {
    own,
    lower,
    upper,
    async [Symbol.asyncDispose]() {
      for (const name of [upper, lower]) if (own.walk(`name==${name}`).length > 0) await own.remove(name);
    },
  };
}

let extractions = 0;

/** Prepares what a layer is to be unpacked into, as containerd does; returns the code of its answer. */
function extract(client: Client, chain: string, parent?: string, labels: Labels = {}): Promise<string> {
  extractions += 1;
  return codeOf(
    client.prepare(`default/${extractions}/extract-${extractions} ${chain}`, parent, {
      ...labels,
      [labelNames.snapshotRef]: chain,
    }),
  );
}

/** What containerd finds when its prepare was answered already_exists: it passes over what is not committed. */
const found = (client: Client, chain: string, parent = ""): string[] =>
  client
    .walk(`labels.${JSON.stringify(labelNames.snapshotRef)}==${chain},parent==${JSON.stringify(parent)}`)
    .filter((key) => client.stat(key).kind === "committed");
