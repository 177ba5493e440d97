// Tests SIGHUP to an `up` that was started from a terminal: from an operator, and from the kernel when the terminal is gone.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { until } from "../support/until.ts";
import { PlaceWithFile } from "./running-up.ts";

const main = join(import.meta.dir, "../../src/main.ts");

test("SIGHUP reloads while the terminal is there; once it is closed, up stops in order and leaves nothing", async () => {
  using place = new PlaceWithFile(() => ['min-free = "10%"']);
  const { REDIS_URL: _, ...inherited } = childEnvironment({});
  let said = "";
  const up = Bun.spawn([process.execPath, main], {
    env: { ...inherited, ...place.settings },
    terminal: {
      cols: 4_000,
      data: (_terminal, bytes) => {
        said += Buffer.from(bytes).toString();
      },
    },
  });
  const says = (text: string) =>
    until(
      text,
      () => said,
      (all) => all.includes(text),
      60_000,
    );
  await says("snapmill is ready");
  place.write('min-free = "7%"');
  up.kill("SIGHUP");
  await says("configuration: read again");
  expect(up.exitCode).toBeNull();
  up.terminal?.close();
  await up.exited;
  expect(up.exitCode).toBe(0);
  expect(place.residue()).toEqual([]);
}, 120_000);
