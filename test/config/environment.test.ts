import { expect, test } from "bun:test";
import { readConfig, registrySettings } from "../../src/config.ts";

const settings = (environment: Record<string, string>) => registrySettings(readConfig({}, environment), environment);

test("registries' credentials are looked for where docker and podman keep them", () => {
  const { credentials } = settings({ HOME: "/home/me", XDG_RUNTIME_DIR: "/run/user/7", DOCKER_AUTH_CONFIG: "{}" });
  expect(credentials).toEqual({
    inline: "{}",
    files: [
      "/run/user/7/containers/auth.json",
      "/home/me/.config/containers/auth.json",
      "/home/me/.docker/config.json",
    ],
  });
  const named = { HOME: "/h", REGISTRY_AUTH_FILE: "/a.json", XDG_CONFIG_HOME: "/c", DOCKER_CONFIG: "/d" };
  expect(settings(named).credentials).toEqual({
    inline: undefined,
    files: [
      "/a.json",
      `/run/containers/${String(process.geteuid?.())}/auth.json`,
      "/c/containers/auth.json",
      "/d/config.json",
    ],
  });
});

test("registries have their settings, with limits", () => {
  const given = { SNAPMILL_REGISTRY_CERTS: "/a:/b:", SNAPMILL_REGISTRY_CONNECTIONS: "2", SNAPMILL_RUN_DIR: "/run/x" };
  expect(settings(given)).toMatchObject({ certsDirs: ["/a", "/b"], connections: 2 });
  expect(settings(given).slotsDir).toStartWith("/run/x/registries-");
  expect(settings({}).certsDirs).toEqual(["/etc/containerd/certs.d", "/etc/docker/certs.d"]);
  const cacheOf = (environment: Record<string, string>) => readConfig({}, environment).blobCacheBytes;
  expect([cacheOf({}), cacheOf({ SNAPMILL_BLOB_CACHE: "1GiB" }), cacheOf({ SNAPMILL_BLOB_CACHE: "0" })]).toEqual([
    4 * 2 ** 30,
    2 ** 30,
    0,
  ]);
  expect(() => settings({ SNAPMILL_REGISTRY_CONNECTIONS: "0" })).toThrow("SNAPMILL_REGISTRY_CONNECTIONS");
});
