import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DmControlName } from "../../../src/drivers/devicemapper/control/control.ts";
import { mounted } from "../../conformance/snapshotter-fixture.ts";
import { thinTestPool } from "../../snapshotter/thin-test-pool.ts";
import { failureOf } from "./client.ts";
import { expectEveryCall } from "./every-call.ts";
import { ThinPoolService } from "./thin-pool-service.ts";

const mebibyte = 2 ** 20;
const timeoutMs = 300_000;

test.each<DmControlName>(["libdevmapper", "dmsetup"])(
  "through %s, a snapshot on a thin-pool goes its whole way, and says when something has it mounted",
  async (control) => {
    await using fixture = await ThinPoolService.open(thinTestPool(control), 256 * mebibyte, "ext4");
    const { client } = fixture;
    await expectEveryCall(client, { type: "ext4", options: [] });

    const { mounts } = await client.call("prepare", { key: "busy" });
    expect(mounts[0]?.source).toMatch(/^\/dev\/mapper\/test-.*-snap-\d+$/);
    const { code, details } = await mounted(mounts, () => failureOf(client.call("remove", { key: "busy" })));
    expect(code).toBe("FAILED_PRECONDITION");
    expect(details).toContain("is in use");
    await client.call("remove", { key: "busy" });
  },
  timeoutMs,
);

test(
  "xfs is mounted in spite of its twin's UUID, and a view of it for reading",
  async () => {
    await using fixture = await ThinPoolService.open(thinTestPool("libdevmapper"), 768 * mebibyte, "xfs");
    await expectEveryCall(fixture.client, { type: "xfs", options: ["nouuid"] });
  },
  timeoutMs,
);

test(
  "when too little of the pool is free, nothing new is made, and what is there can be used and removed",
  async () => {
    const testPool = thinTestPool("libdevmapper", { minFreeShare: 0.5 });
    await using fixture = await ThinPoolService.open(testPool, 64 * mebibyte, "ext4");
    const { client } = fixture;
    const { mounts } = await client.call("prepare", { key: "filling" });
    await mounted(mounts, (root) => writeFileSync(join(root, "file"), Buffer.alloc(40 * mebibyte, 1)));
    for (const refused of [client.call("prepare", { key: "more" }), client.call("prepare", { key: "again" })]) {
      const { code, details } = await failureOf(refused);
      expect(code).toBe("RESOURCE_EXHAUSTED");
      expect(details).toContain("free");
    }
    await client.call("commit", { key: "filling", name: "filled" });
    expect((await failureOf(client.call("view", { key: "look", parent: "filled" }))).code).toBe("RESOURCE_EXHAUSTED");
    expect((await client.list()).map(({ name }) => name)).toEqual(["filled"]);
    await client.call("remove", { key: "filled" });
    await client.call("prepare", { key: "more" });
    await client.call("remove", { key: "more" });
  },
  timeoutMs,
);
