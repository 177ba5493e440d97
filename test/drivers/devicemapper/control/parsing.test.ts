import { describe, expect, test } from "bun:test";
import {
  DmError,
  type DmInfo,
  isDmError,
  type PoolStatus,
} from "../../../../src/drivers/devicemapper/control/control.ts";
import { errnoOf, refusal } from "../../../../src/drivers/devicemapper/control/failures.ts";
import {
  parseInfo,
  parseStatus,
  parseTargets,
  parseVersion,
} from "../../../../src/drivers/devicemapper/control/parsing.ts";

describe("information", () => {
  const live: DmInfo = {
    name: "p-pool",
    major: 254,
    minor: 0,
    openCount: 2,
    isSuspended: false,
    isReadOnly: false,
    hasLiveTable: true,
    hasInactiveTable: false,
    eventNumber: 9,
  };
  test.each<[string, Partial<DmInfo>]>([
    ["L--w/254/0/2/9/p-pool", {}],
    ["LIsw/254/0/2/9/p-pool", { hasInactiveTable: true, isSuspended: true }],
    ["---r/254/0/2/9/p-pool", { hasLiveTable: false, isReadOnly: true }],
    ["-I-w/254/0/2/9/p-pool", { hasLiveTable: false, hasInactiveTable: true }],
    ["L--w/254/0/2/9/odd\\x20n\\x2f", { name: "odd n/" }],
    ["L--w/254/0/2/9/left raw", { name: "left raw" }],
  ])("%j", (line, expected) => {
    expect(parseInfo(line)).toEqual([{ ...live, ...expected }]);
  });

  test("of several devices, and of none", () => {
    expect(parseInfo("L--w/254/0/2/9/a\nL--w/254/1/0/0/b\n").map(({ name }) => name)).toEqual(["a", "b"]);
    expect(parseInfo("No devices found")).toEqual([]);
    expect(parseInfo("")).toEqual([]);
  });

  test.each(["L--w/254/0/2/9", "L--w/254/x/2/9/a", "???w/254/0/2/9/a", "a 254 0"])("%j is not understood", (line) => {
    expect(() => parseInfo(line)).toThrow("cannot read what device-mapper says");
  });
});

describe("the status of a thin device", () => {
  test.each([
    ["0 65536 thin 8192 8191", false, 8192],
    ["0 65536 thin 0 - ", false, 0],
    ["0 65536 thin Fail", true, 0],
    ["0 65536 thin Error", true, 0],
    ["0 65536 thin -", true, 0],
  ])("%j", (line, hasFailed, mappedSectors) => {
    expect(parseStatus("d", line)).toEqual({ target: "thin", hasFailed, mappedSectors });
  });
});

describe("the status of a thin-pool", () => {
  const healthy: PoolStatus = {
    target: "thin-pool",
    mode: "rw",
    needsCheck: false,
    transactionId: 5,
    usedMetadataBlocks: 424,
    totalMetadataBlocks: 4096,
    usedDataBlocks: 64,
    totalDataBlocks: 1024,
    heldMetadataRoot: undefined,
  };
  const failed: PoolStatus = {
    ...healthy,
    mode: "failed",
    transactionId: 0,
    usedMetadataBlocks: 0,
    totalMetadataBlocks: 0,
    usedDataBlocks: 0,
    totalDataBlocks: 0,
  };
  const line = (rest: string) => `0 131072 thin-pool 5 424/4096 64/1024 ${rest}`;
  test.each<[string, PoolStatus]>([
    [line("- rw discard_passdown error_if_no_space - 1024 "), healthy],
    [line("32 rw discard_passdown queue_if_no_space - 1024"), { ...healthy, heldMetadataRoot: 32 }],
    [line("- ro no_discard_passdown error_if_no_space - 1024"), { ...healthy, mode: "ro" }],
    [line("- ro ignore_discard error_if_no_space needs_check 1024"), { ...healthy, mode: "ro", needsCheck: true }],
    [line("- out_of_data_space discard_passdown error_if_no_space - 1024"), { ...healthy, mode: "out_of_data_space" }],
    // Before Linux 4.19 there was no low-water mark of metadata.
    [line("- rw discard_passdown queue_if_no_space"), healthy],
    ["0 131072 thin-pool Fail", failed],
    ["0 131072 thin-pool Error", failed],
  ])("%j", (text, expected) => {
    expect(parseStatus("p", text)).toEqual(expected);
  });

  test.each(["0 131072 thin-pool", "0 131072 thin-pool 5 424 64/1024 - rw", line("x rw"), line("- wr"), line("-")])(
    "%j is not understood",
    (text) => {
      expect(() => parseStatus("p", text)).toThrow("cannot read what device-mapper says");
    },
  );

  test("is asked of a device of that kind", () => {
    expect(() => parseStatus("theirs", "0 10 error")).toThrow("the device theirs is neither thin nor a thin-pool");
  });
});

test("versions of library, driver and targets are read", () => {
  const version = "Library version:   1.02.185 (2022-05-18)\nDriver version:    4.47.0\n";
  expect(parseVersion(version)).toEqual({ library: "1.02.185", driver: "4.47.0" });
  expect(() => parseVersion("Library version:   1.02.185 (2022-05-18)")).toThrow("cannot read");
  const targets = parseTargets("thin-pool        v1.22.0\nthin             v1.22.0\nerror            v1.5.0");
  expect([...targets]).toEqual([
    ["thin-pool", "1.22.0"],
    ["thin", "1.22.0"],
    ["error", "1.5.0"],
  ]);
});

describe("a refusal", () => {
  const commandFailed = "\nCommand failed.";
  test.each([
    ["device-mapper: remove ioctl on a  failed: Device or resource busy", "EBUSY", "failed_precondition"],
    ["device-mapper: reload ioctl on a (254:2) failed: No data available", "ENODATA", "not_found"],
    ["device-mapper: remove ioctl on a  failed: No such device or address", "ENXIO", "not_found"],
    ["device-mapper: message ioctl on a  failed: File exists", "EEXIST", "already_exists"],
    ["device-mapper: message ioctl on a  failed: No space left on device", "ENOSPC", "resource_exhausted"],
    ["device-mapper: message ioctl on a  failed: Operation not supported", "EOPNOTSUPP", "internal"],
    ["device-mapper: message ioctl on a  failed: Invalid argument", "EINVAL", "internal"],
    ["failed: first\nagain failed: Input/output error", "EIO", "internal"],
    ["Device does not exist.", "ENXIO", "not_found"],
    ["device-mapper: it failed: Unheard of", "EUNKNOWN", "internal"],
    ["no word of the reason", "EUNKNOWN", "internal"],
    ["", "EUNKNOWN", "internal"],
  ] as const)("%j is %s: %s", (stderr, errno, code) => {
    expect(errnoOf(stderr + commandFailed)).toBe(errno);
    const error = refusal("remove", "a", stderr + commandFailed);
    expect(error).toBeInstanceOf(DmError);
    expect(isDmError(error, errno)).toBe(true);
    expect(isDmError(error, "ENOTHING")).toBe(false);
    expect(error.code).toBe(code);
    expect(error.message).toStartWith("device-mapper refuses remove a: ");
  });

  test("for want of a device-mapper, or of the right to it, says how to come by it", () => {
    const error = refusal(
      "info",
      "a",
      "/dev/mapper/control: open failed: Permission denied\nFailure to communicate with kernel device-mapper driver.\n",
    );
    expect(error).not.toBeInstanceOf(DmError);
    expect(error.code).toBe("failed_precondition");
    expect(error.message).toContain("open failed: Permission denied");
    expect(error.message).toContain("load the kernel modules");
  });
});
