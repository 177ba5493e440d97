// Room: test. Owns how a supervisor adds up what the lives of its child have observed.
import { expect, test } from "bun:test";
import { childEnvironment } from "../../src/config.ts";
import { Tally } from "../../src/domain/tally.ts";
import { createLogger } from "../../src/logger.ts";
import { ChildSupervisor } from "../../src/supervisor/child-supervisor.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { until } from "../support/until.ts";

test("what a child sent twice counts once, nonsense does not count, and a new life goes on from there", async () => {
  await using directory = await temporaryDirectory();
  const totals = new Tally();
  const seen = (times: number) => `echo 'seen ["snapmill_layers_total",["cached"],[${times}]]'`;
  const script = `echo ready; ${seen(2)}; ${seen(5)}; ${seen(5)}; echo 'seen ["no_such",[],[1]]'; echo 'seen ['
    if [ -e ${directory.path}/again ]; then exec sleep 600; fi
    touch ${directory.path}/again; exit 1`;
  const supervisor = new ChildSupervisor(
    {
      name: "the script",
      component: "script",
      totals,
      argv: ["bash", "-c", script],
      environment: childEnvironment({}),
      graceMs: 10_000,
      readyWithinMs: 60_000,
      readiness: { kind: "announced" },
    },
    createLogger({ name: "test", level: "silent" }),
  );
  try {
    await supervisor.start();
    await until(
      "two lives are added up",
      () => totals.series,
      ([series]) => series?.amounts[0] === 10,
    );
    expect(totals.series).toHaveLength(1);
    expect(supervisor.component).toMatchObject({ component: "script", restarts: 1 });
  } finally {
    await supervisor.stop();
  }
});
