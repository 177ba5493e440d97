import { expect, test } from "bun:test";
import { isLoopback, parseAddress, urlOf } from "../../src/domain/http-address.ts";

test.each([
  ["127.0.0.1:7070", { hostname: "127.0.0.1", port: 7070 }, "http://127.0.0.1:7070", true],
  ["127.8.9.1:1", { hostname: "127.8.9.1", port: 1 }, "http://127.8.9.1:1", true],
  ["localhost:0", { hostname: "localhost", port: 0 }, "http://localhost:0", true],
  ["[::1]:7070", { hostname: "::1", port: 7070 }, "http://[::1]:7070", true],
  ["0.0.0.0:80", { hostname: "0.0.0.0", port: 80 }, "http://0.0.0.0:80", false],
  ["[::]:80", { hostname: "::", port: 80 }, "http://[::]:80", false],
  [
    "127.0.0.1.example.org:80",
    { hostname: "127.0.0.1.example.org", port: 80 },
    "http://127.0.0.1.example.org:80",
    false,
  ],
] as const)("%s is an address", (text, address, url, loopback) => {
  expect(parseAddress(text)).toEqual(address);
  expect(urlOf(address)).toBe(url);
  expect(isLoopback(address)).toBe(loopback);
});

test.each(["", "7070", ":7070", "127.0.0.1", "::1:7070", "host:65536", "host:port", "a b:80", "[::1]7070"])(
  "%p is no address",
  (text) => {
    expect(() => parseAddress(text)).toThrow("use HOST:PORT, such as 127.0.0.1:7070");
  },
);
