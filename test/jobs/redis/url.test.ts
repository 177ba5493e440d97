import { describe, expect, test } from "bun:test";
import { redisLabel, redisOptions } from "../../../src/jobs/redis/url.ts";
import { failureOf } from "../support.ts";

describe("a Redis URL", () => {
  test.each([
    ["redis://example.net", { host: "example.net", port: 6379, db: 0 }],
    ["redis://example.net:7000/3", { host: "example.net", port: 7000, db: 3 }],
    ["redis://[::1]:7000", { host: "::1", port: 7000, db: 0 }],
    ["redis://u%40x:p%3Aw@h", { host: "h", port: 6379, db: 0, username: "u@x", password: "p:w" }],
    ["redis://:secret@h/", { host: "h", port: 6379, db: 0, password: "secret" }],
    ["rediss://h:6380", { host: "h", port: 6380, db: 0, tls: {} }],
    ["unix:///run/a b/redis%20.sock", { path: "/run/a b/redis%20.sock", db: 0 }],
    ["unix:///run/redis.sock?db=4", { path: "/run/redis.sock", db: 4 }],
  ])("%s is understood", (url, options) => {
    expect(redisOptions(url) as object).toEqual(options);
  });

  test.each(["", "localhost", "http://h", "unix://relative.sock", "redis://h/not-a-number"])(
    "%p is refused",
    async (url) => {
      const failure = await failureOf(Promise.resolve().then(() => redisOptions(url)));
      expect(failure.code).toBe("invalid_argument");
      expect(failure.message).toContain("use redis://host:port");
    },
  );

  test("is shown without its password", () => {
    expect(redisLabel("redis://user:secret@h:1")).toBe("redis://h:1");
  });
});
