import { describe, expect, test } from "bun:test";
import { formatRegistryName, parseRegistryName } from "../../../src/images/registry/name.ts";

const pinned = `sha256:${"ab".repeat(32)}`;

describe("a name is read as Docker reads it", () => {
  const names: readonly (readonly [text: string, full: string])[] = [
    ["alpine", "docker.io/library/alpine:latest"],
    ["alpine:3.20", "docker.io/library/alpine:3.20"],
    ["org/app", "docker.io/org/app:latest"],
    ["ghcr.io/org/app:v1", "ghcr.io/org/app:v1"],
    ["localhost/app", "localhost/app:latest"],
    ["localhost:5000/app", "localhost:5000/app:latest"],
    ["127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000/a/b/c:x"],
    ["[::1]:5000/app", "[::1]:5000/app:latest"],
    ["Upper/app", "Upper/app:latest"],
    ["index.docker.io/alpine", "docker.io/library/alpine:latest"],
    ["docker.io/org/a__b.c---d", "docker.io/org/a__b.c---d:latest"],
    [`alpine@${pinned}`, `docker.io/library/alpine@${pinned}`],
    [`quay.io/a/b:v2@${pinned}`, `quay.io/a/b:v2@${pinned}`],
    // No host without a '/': this is a repository and a tag.
    ["registry.example:5000", "docker.io/library/registry.example:5000"],
  ];
  test.each(names)("%s", (text, full) => {
    const name = parseRegistryName(text);
    expect(typeof name === "string" ? name : formatRegistryName(name)).toBe(full);
    expect(parseRegistryName(full)).toEqual(name);
  });
});

describe("it is refused with a reason:", () => {
  const names: readonly (readonly [text: string, reason: string])[] = [
    ["", "is not a repository's name"],
    ["Alpine", "is not a repository's name"],
    ["a//b", "is not a repository's name"],
    ["a/../b", "is not a repository's name"],
    ["ghcr.io/", "is not a repository's name"],
    ["host_name.io:80/a", "is not a registry's host"],
    ["a.b:/c", "is not a registry's host"],
    ["alpine:", "is not a tag"],
    ["alpine:a:b", "is not a repository's name"],
    ["alpine:.x", "is not a tag"],
    ["alpine@sha256:12", "is not a digest"],
    [`alpine@sha512:${"ab".repeat(64)}`, "only sha256"],
    ["ab".repeat(32), "an image's ID"],
    [`a/${"b".repeat(255)}`, "more than 255"],
  ];
  test.each(names)("%s", (text, reason) => {
    expect(parseRegistryName(text)).toContain(reason);
  });
});
