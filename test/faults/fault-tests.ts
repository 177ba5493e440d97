// Owns the fault tests: for each operation, which fault points it passes, and how recovery from a kill at one is checked.
import { isDeepStrictEqual } from "node:util";
import { isSnapmillError } from "../../src/domain/errors.ts";
import { type Fault, type FaultPoint, observeFaultPoints } from "../../src/system/faults.ts";
import { dataBytesOf, growTo } from "./growth.ts";
import type { FaultHarness } from "./harness.ts";
import { newClient, type Operation, populate, runOperation, type Scenario, scenarios } from "./scenarios.ts";
import { scenarioOf } from "./set-up-scenario.ts";

export interface FaultTest {
  readonly title: string;
  /** `populated`: with "base" and "child", which must survive; `bare`: no pool yet. */
  readonly pool: "populated" | "bare";
  /** Runs undisturbed; returns the points that are passed, in order. */
  faultPoints(harness: FaultHarness): Promise<FaultPoint[]>;
  /** Kills a worker at the fault. Throws when the state afterwards is not the expected one. */
  runWithFault(harness: FaultHarness, fault: Fault): Promise<void>;
}

/** The points that are reached while `action` runs. */
async function pointsPassed(action: () => Promise<unknown>): Promise<FaultPoint[]> {
  const passed: FaultPoint[] = [];
  observeFaultPoints((point) => passed.push(point));
  try {
    await action();
  } finally {
    observeFaultPoints(undefined);
  }
  return passed;
}

/** The operation's result, or the code of its error. */
async function answerOf(harness: FaultHarness, scenario: Scenario, operation: Operation): Promise<unknown> {
  try {
    return await runOperation(await harness.worker(scenario.snapshotter), operation);
  } catch (error) {
    if (isSnapmillError(error)) return error.code;
    throw error;
  }
}

/** Repeats the operation twice, as its caller does; then tears the scenario down. */
async function finish(harness: FaultHarness, scenario: Scenario, operation: Operation): Promise<void> {
  const answer = await answerOf(harness, scenario, operation);
  const kind = typeof answer === "string" ? answer : "result";
  if (kind !== scenario.answer) throw new Error(`asked again, the answer is ${kind}, not ${scenario.answer}`);
  const client = await harness.client(scenario.snapshotter);
  await scenario.expectDone(client, harness.place);
  if (!isDeepStrictEqual(await answerOf(harness, scenario, operation), answer))
    throw new Error("the answer has changed");
  await harness.unmount();
  await scenario.tearDown(client, harness.place);
  await harness.check();
  if (scenario.emptiesPool === true) await harness.remember();
  else await harness.checkContents();
}

/** An operation of a running worker. */
const operationTest = (scenario: Scenario): FaultTest => ({
  title: scenario.title,
  pool: "populated",
  async faultPoints(harness) {
    const operation = await harness.setUp(scenario);
    const passed = await pointsPassed(() => answerOf(harness, scenario, operation));
    await finish(harness, scenario, operation);
    return passed;
  },
  async runWithFault(harness, fault) {
    const operation = await harness.killIn(scenario, fault);
    await harness.worker(scenario.snapshotter);
    await harness.check();
    await finish(harness, scenario, operation);
  },
});

/** The start of a worker, after one that was stopped, or was killed at `earlier` in the scenario's operation. */
const restartTest = (title: string, scenario: Scenario, earlier?: Fault): FaultTest => {
  const prepare = async (harness: FaultHarness): Promise<Operation> => {
    if (earlier !== undefined) return await harness.killIn(scenario, earlier);
    const operation = await harness.setUp(scenario);
    await harness.stopWorker();
    return operation;
  };
  return {
    title,
    pool: "populated",
    async faultPoints(harness) {
      const operation = await prepare(harness);
      const passed = await pointsPassed(() => harness.worker(scenario.snapshotter));
      await finish(harness, scenario, operation);
      return passed;
    },
    async runWithFault(harness, fault) {
      const operation = await prepare(harness);
      await harness.kill(fault, { kind: "start" }, scenario.snapshotter);
      await harness.worker(scenario.snapshotter);
      await harness.check();
      await finish(harness, scenario, operation);
    },
  };
};

/** The stop of a worker while the scenario's snapshots are active. */
const stopTest = (title: string, scenario: Scenario): FaultTest => ({
  title,
  pool: "populated",
  async faultPoints(harness) {
    const operation = await harness.setUp(scenario);
    const passed = await pointsPassed(() => harness.stopWorker());
    await finish(harness, scenario, operation);
    return passed;
  },
  async runWithFault(harness, fault) {
    const operation = await harness.killIn(scenario, fault, "stop");
    await harness.worker(scenario.snapshotter);
    await harness.check();
    await finish(harness, scenario, operation);
  },
});

const creationTest: FaultTest = {
  title: "creation of the pool",
  pool: "bare",
  async faultPoints(harness) {
    const passed = await pointsPassed(() => harness.worker());
    await harness.check();
    return passed;
  },
  async runWithFault(harness, fault) {
    await harness.kill(fault, { kind: "start" });
    await populate(newClient(await harness.worker()));
    await harness.check();
    await harness.stopWorker();
  },
};

const growthBytes = 16 * 2 ** 20;

/** A repeated request finds the growth done, and done once. */
async function expectGrowth(harness: FaultHarness, dataBytes: number): Promise<void> {
  const hasBytes = await growTo(harness.place, dataBytes);
  if (hasBytes !== dataBytes) throw new Error(`the pool has ${hasBytes} bytes, not ${dataBytes}`);
  await harness.check();
  await harness.checkContents();
}

const growthTest: FaultTest = {
  title: "growth of the pool",
  pool: "populated",
  async faultPoints(harness) {
    const dataBytes = dataBytesOf(harness.place) + growthBytes;
    await harness.worker();
    const passed = await pointsPassed(() => growTo(harness.place, dataBytes));
    await expectGrowth(harness, dataBytes);
    return passed;
  },
  async runWithFault(harness, fault) {
    const dataBytes = dataBytesOf(harness.place) + growthBytes;
    await harness.kill(fault, { kind: "growth", dataBytes });
    await harness.worker();
    await harness.check();
    await expectGrowth(harness, dataBytes);
  },
};

const once = (point: FaultPoint): Fault => ({ point, occurrence: 1 });

export const faultTests: readonly FaultTest[] = [
  creationTest,
  restartTest("start after a reboot", scenarioOf("remove of an active snapshot")),
  restartTest(
    "start after a kill in prepare",
    scenarioOf("prepare of a base, with its template"),
    once("template.formatted"),
  ),
  restartTest("start after a kill in commit", scenarioOf("commit of what is mounted"), once("dm.suspend")),
  restartTest("start after a kill in remove", scenarioOf("remove of an active snapshot"), once("remove.deactivated")),
  stopTest("stop", scenarioOf("commit")),
  growthTest,
  ...scenarios.map(operationTest),
];
