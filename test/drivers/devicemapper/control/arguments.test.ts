import { describe, expect, test } from "bun:test";
import { deviceId } from "../../../../src/domain/identifiers.ts";
import * as verbs from "../../../../src/drivers/devicemapper/control/arguments.ts";
import type { DmTable, PoolMessage } from "../../../../src/drivers/devicemapper/control/control.ts";
import { parseTableLine, tableLine } from "../../../../src/drivers/devicemapper/control/tables.ts";

const thin: DmTable = { target: "thin", sectors: 65536, poolDevice: "/dev/mapper/p", deviceId: deviceId(7) };
const pool: DmTable = {
  target: "thin-pool",
  sectors: 131072,
  metadataDevice: "/dev/loop0",
  dataDevice: "/dev/loop1",
  blockSectors: 128,
  lowWaterBlocks: 32,
  features: ["skip_block_zeroing", "error_if_no_space"],
};

describe("a verb's arguments", () => {
  test.each([
    [verbs.versionArguments(), "version"],
    [verbs.targetsArguments(), "targets"],
    [
      verbs.createArguments("a b", thin),
      "create --manglename none --verifyudev --table 0 65536 thin /dev/mapper/p 7 -- a\\x20b",
    ],
    [
      verbs.reloadArguments("p", pool),
      "reload --manglename none --table" +
        " 0 131072 thin-pool /dev/loop0 /dev/loop1 128 32 2 skip_block_zeroing error_if_no_space -- p",
    ],
    [verbs.suspendArguments("d", true, true), "suspend --manglename none -- d"],
    [verbs.suspendArguments("d", false, true), "suspend --manglename none --nolockfs -- d"],
    [verbs.suspendArguments("d", true, false), "suspend --manglename none --noflush -- d"],
    [verbs.resumeArguments("-d"), "resume --manglename none --verifyudev -- -d"],
    [verbs.removeArguments("d", false), "remove --manglename none --verifyudev -- d"],
    [verbs.removeArguments("d", true), "remove --manglename none --verifyudev --deferred -- d"],
    [
      verbs.infoArguments("d"),
      "info --manglename none --columns --noheadings --separator / -o attr,major,minor,open,events,name -- d",
    ],
    [
      verbs.infoArguments(),
      "info --manglename none --columns --noheadings --separator / -o attr,major,minor,open,events,name",
    ],
    [verbs.tableArguments("d"), "table --manglename none -- d"],
    [verbs.statusArguments("d", false), "status --manglename none --noflush -- d"],
    [verbs.statusArguments("d", true), "status --manglename none -- d"],
    [
      verbs.messageArguments("p", { kind: "delete", deviceId: deviceId(3) }),
      "message --manglename none -- p 0 delete 3",
    ],
  ])("%j", (args, expected) => {
    expect(args.join(" ")).toBe(expected);
  });

  test("a table and a message are one argument each", () => {
    expect(verbs.createArguments("d", thin)).toContain("0 65536 thin /dev/mapper/p 7");
    expect(verbs.messageArguments("p", { kind: "create_thin", deviceId: deviceId(3) })).toContain("create_thin 3");
  });

  test("a name that no device can have never gets that far", () => {
    expect(() => verbs.removeArguments("../p", false)).toThrow("cannot name a device");
  });
});

describe("a message", () => {
  test.each<[PoolMessage, string]>([
    [{ kind: "create_thin", deviceId: deviceId(0) }, "create_thin 0"],
    [{ kind: "create_snap", deviceId: deviceId(16777215), originId: deviceId(1) }, "create_snap 16777215 1"],
    [{ kind: "delete", deviceId: deviceId(5) }, "delete 5"],
    [{ kind: "set_transaction_id", from: 3, to: 4 }, "set_transaction_id 3 4"],
    [{ kind: "reserve_metadata_snap" }, "reserve_metadata_snap"],
    [{ kind: "release_metadata_snap" }, "release_metadata_snap"],
  ])("%j is %j", (message, text) => {
    expect(verbs.messageText(message)).toBe(text);
  });
});

describe("a table", () => {
  test.each<[string, DmTable]>([
    ["0 65536 thin 254:0 1", { target: "thin", sectors: 65536, poolDevice: "254:0", deviceId: deviceId(1) }],
    [
      "0 131072 thin-pool 7:0 7:1 128 32 1 error_if_no_space",
      { ...pool, metadataDevice: "7:0", dataDevice: "7:1", features: ["error_if_no_space"] },
    ],
    [
      "0 131072 thin-pool 7:0 7:1 128 0 0",
      { ...pool, metadataDevice: "7:0", dataDevice: "7:1", lowWaterBlocks: 0, features: [] },
    ],
  ])("%j is read, with the white space that the kernel leaves, and written again", (line, table) => {
    expect(parseTableLine("d", `${line} `)).toEqual(table);
    expect(tableLine(table)).toBe(line);
  });

  test("a path with what the kernel would split or swallow is escaped", () => {
    expect(tableLine({ ...thin, poolDevice: "/dev/mapper/a\\x20b c" })).toBe(
      "0 65536 thin /dev/mapper/a\\\\x20b\\ c 7",
    );
    expect(() => tableLine({ ...thin, poolDevice: "/dev/a\nb" })).toThrow("cannot stand in a device's table");
    expect(() => tableLine({ ...thin, poolDevice: "" })).toThrow("cannot stand in a device's table");
  });

  test.each(["0 10 error", "0 65536 linear 7:0 0", "0 8 thin 254:0 1\n8 8 thin 254:0 2", "8 8 thin 254:0 1"])(
    "%j belongs to another program",
    (line) => {
      expect(() => parseTableLine("theirs", line)).toThrow("the device theirs is neither thin nor a thin-pool");
    },
  );

  test.each(["0 8 thin 254:0", "0 8 thin 254:0 x", "0 8 thin 254:0 16777216", "0 8 thin-pool 7:0 7:1 128 32 2 one"])(
    "%j is not understood",
    (line) => {
      expect(() => parseTableLine("d", line)).toThrow(/cannot read|not a whole number/);
    },
  );
});
