// Tests what is checked before another host's pool is reached.
import { expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { readConfig } from "../../src/config.ts";
import { reachPool } from "../../src/service/remote-service.ts";
import { temporaryDirectory } from "../support/directories.ts";

test("a state directory that other users can write to is refused also where the pool is another host's", async () => {
  await using directory = await temporaryDirectory();
  chmodSync(directory.path, 0o777);
  const config = readConfig(
    {},
    { SNAPMILL_STATE_DIR: `${directory.path}/state`, REDIS_URL: `unix://${directory.path}/no-redis.sock` },
  );
  await expect(reachPool(config, () => undefined)).rejects.toThrow(
    `${directory.path} can be written to by other users`,
  );
});
