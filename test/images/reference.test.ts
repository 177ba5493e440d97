import { describe, expect, test } from "bun:test";
import { SnapmillError } from "../../src/domain/errors.ts";
import { absoluteReference, formatReference, fullDockerName, parseReference } from "../../src/images/reference.ts";

describe("a reference", () => {
  test("has a transport, a path and perhaps a tag", () => {
    expect(parseReference("oci:/images/app")).toEqual({
      transport: "oci",
      path: "/images/app",
      selector: { by: "only" },
    });
    expect(parseReference("oci-archive:app.tar:v1")).toEqual({
      transport: "oci-archive",
      path: "app.tar",
      selector: { by: "tag", tag: "v1" },
    });
    expect(parseReference("docker-archive:app.tar:registry.example:5000/app:v1")).toMatchObject({
      selector: { by: "tag", tag: "registry.example:5000/app:v1" },
    });
    expect(parseReference("docker-archive:app.tar:@2")).toMatchObject({ selector: { by: "index", index: 2 } });
  });

  test("is written as it was read", () => {
    for (const text of [
      "oci:/a",
      "oci:/a:v1.0",
      "oci:/a:docker.io/library/x:v1",
      "docker-archive:/a.tar:@0",
      "oci-archive:a.tar:x",
      "docker://localhost:5000/a/b:v1",
      `docker://docker.io/library/alpine@sha256:${"0".repeat(64)}`,
    ]) {
      expect(formatReference(parseReference(text))).toBe(text);
    }
  });

  const wrong: readonly (readonly [text: string, why: RegExp])[] = [
    ["/images/app", /a path needs a transport/],
    ["./app", /a path needs a transport in front of it, such as oci:.\/app/],
    ["docker-daemon:app:v1", /unknown transport/],
    ["containers-storage:app", /unknown transport/],
    ["https://registry.example/app", /begins with docker:\/\/, not with the URL's scheme;/],
    ["http://registry.example/app", /begins with docker:\/\/, .*the option --plain-http;/],
    ["Alpine", /"library\/Alpine" is not a repository's name/],
    ["docker://registry.example/app:", /"" is not a tag/],
    ["dir:/images/app", /unknown transport/],
    ["oci-archve:app.tar", /unknown transport "oci-archve" \(oci-archive: may be meant\); use docker:\/\/HOST/],
    ["docker-archives:./app.tar:v1", /unknown transport "docker-archives" \(docker-archive: may be meant\)/],
    ["OCI:./app", /unknown transport "OCI" \(oci: may be meant\)/],
    ["oc:images/app", /unknown transport "oc" \(oci: may be meant\)/],
    ["dokcer-archive:app", /unknown transport "dokcer-archive" \(docker-archive: may be meant\)/],
    ["dcker://registry.example/app", /unknown transport "dcker" \(docker: may be meant\)/],
    ["archive:/images/app.tar", /unknown transport "archive"; use/],
    ["oci:", /the path is missing/],
    ["oci::tag", /the path is missing/],
    ["oci:/a:", /nothing after the last ':'/],
    ["oci:/a b:c d", /"c d" is not a tag .*symbolic link/],
    ["oci:/a:b:/c", /is not a tag/],
    ["oci:/a:@x", /not @ and a number/],
    ["oci:/a\0b", /NUL/],
    ["docker-archive:/a:x@sha256:00", /is not a NAME\[:TAG\]/],
  ];
  test.each(wrong)("that is wrong says why, and shows the forms: %j", (text, why) => {
    const read = () => parseReference(text);
    expect(read).toThrow(SnapmillError);
    expect(read).toThrow(why);
    expect(read).toThrow(
      /use docker:\/\/HOST.* oci:DIR\[:TAG\], oci-archive:FILE\[:TAG\] or docker-archive:FILE\[:NAME:TAG\]/,
    );
  });

  test("has a tag of at most 512 characters", () => {
    expect(parseReference(`oci:/a:${"x".repeat(512)}`)).toMatchObject({ selector: { by: "tag" } });
    expect(() => parseReference(`oci:/a:${"x".repeat(513)}`)).toThrow(/is not a tag/);
  });

  test.each(["docker://me:planted@registry.example/app", "me:planted@registry.example/app", "https://me:planted@x/y"])(
    "with a password is refused without saying it: %j",
    (text) => {
      const refused = new Error(
        "an image reference holds no credentials: keep them in an auth file (docker login, --authfile)",
      );
      expect(() => parseReference(text)).toThrow(refused);
    },
  );

  test("that is a bare name is an image in a registry", () => {
    expect(absoluteReference("alpine", "/home/me")).toBe("docker://docker.io/library/alpine:latest");
    expect(absoluteReference("ghcr.io/org/app:v1", "/home/me")).toBe("docker://ghcr.io/org/app:v1");
    expect(absoluteReference("docker://localhost:5000/app", "/home/me")).toBe("docker://localhost:5000/app:latest");
  });

  test("is made absolute from its caller's directory", () => {
    expect(absoluteReference("oci:app:v1", "/home/me")).toBe("oci:/home/me/app:v1");
    expect(absoluteReference("oci-archive:../a.tar", "/home/me")).toBe("oci-archive:/home/a.tar");
    expect(absoluteReference("docker-archive:/x/./a.tar:@1", "/home/me")).toBe("docker-archive:/x/a.tar:@1");
  });

  test("to what is another file in each process is refused, with the way out", () => {
    for (const path of [
      "-",
      "/dev/stdin",
      "/dev//../dev/stdin",
      "/dev/fd/63",
      "/proc/self/fd/0",
      "/proc/thread-self/root",
    ]) {
      const why = /cannot be read, because another process opens the file: write .* \(docker save -o FILE IMAGE\)$/;
      expect(() => parseReference(`docker-archive:${path}:app:v1`)).toThrow(why);
      if (path !== "-") expect(() => absoluteReference(`oci-archive:${path}`, "/home/me")).toThrow(why);
    }
    expect(() => absoluteReference("oci-archive:-", "/home/me")).toThrow(
      /^image reference "oci-archive:-": standard input cannot/,
    );
    expect(() => absoluteReference("oci-archive:stdin", "/dev")).toThrow(
      /^image reference "oci-archive:stdin": \/dev\/stdin cannot/,
    );
    expect(absoluteReference("oci-archive:./-", "/home/me")).toBe("oci-archive:/home/me/-");
  });

  test("cannot be made absolute in a directory whose name has a colon", () => {
    expect(() => absoluteReference("oci:app", "/home/a:b")).toThrow(/\/home\/a:b\/app contains ':'.*symbolic link/);
  });
});

test.each([
  ["busybox", "docker.io/library/busybox:latest"],
  ["busybox:1.36", "docker.io/library/busybox:1.36"],
  ["docker.io/busybox", "docker.io/library/busybox:latest"],
  ["index.docker.io/me/app", "docker.io/me/app:latest"],
  ["me/app:v1", "docker.io/me/app:v1"],
  ["localhost/app", "localhost/app:latest"],
  ["localhost:5000/app:v1", "localhost:5000/app:v1"],
  ["quay.io/me/app", "quay.io/me/app:latest"],
])("the docker name %s is %s in full", (name, full) => {
  expect(fullDockerName(name)).toBe(full);
});

test.each(["", "a b", "x@sha256:00", "/x", "x/", "x:"])("%j is no docker name", (name) => {
  expect(fullDockerName(name)).toBeUndefined();
});
