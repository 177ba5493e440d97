// Owns what a process is killed in: for each operation, how its fault points are learnt, and how a death at one ends.
import { isDeepStrictEqual } from "node:util";
import { isSnapmillError } from "../../src/domain/errors.ts";
import { type Fault, type FaultPoint, observeFaultPoints } from "../../src/system/faults.ts";
import { dataBytesOf, growTo } from "./growth.ts";
import type { Theatre } from "./harness.ts";
import { type Errand, furnish, newClient, perform, type Scene, scenes } from "./scenarios.ts";
import { sceneOf } from "./set-up-scenario.ts";

export interface Play {
  readonly title: string;
  /** `furnished`: with "base" and "child", which it has afterwards, too; `bare`: no pool yet. */
  readonly pool: "furnished" | "bare";
  /** Plays without a death; tells which points are passed, in order. */
  rehearse(theatre: Theatre): Promise<FaultPoint[]>;
  /** Has a worker die at the fault. Throws when anything is not as it should be afterwards. */
  perform(theatre: Theatre, fault: Fault): Promise<void>;
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

/** What the operation is answered with: a result as it is, an error by its code. */
async function answerOf(theatre: Theatre, scene: Scene, errand: Errand): Promise<unknown> {
  try {
    return await perform(await theatre.worker(scene.snapshotter), errand);
  } catch (error) {
    if (isSnapmillError(error)) return error.code;
    throw error;
  }
}

/** The caller asks again, and once more; then the scene is struck. */
async function finish(theatre: Theatre, scene: Scene, errand: Errand): Promise<void> {
  const answer = await answerOf(theatre, scene, errand);
  const kind = typeof answer === "string" ? answer : "result";
  if (kind !== scene.answer) throw new Error(`asked again, the answer is ${kind}, not ${scene.answer}`);
  const client = await theatre.client(scene.snapshotter);
  await scene.expectDone(client, theatre.place);
  if (!isDeepStrictEqual(await answerOf(theatre, scene, errand), answer)) throw new Error("the answer has changed");
  await theatre.unmount();
  await scene.strike(client, theatre.place);
  await theatre.check();
  if (scene.emptiesPool === true) await theatre.remember();
  else await theatre.checkContents();
}

/** An operation, in a worker that is running. */
const operationPlay = (scene: Scene): Play => ({
  title: scene.title,
  pool: "furnished",
  async rehearse(theatre) {
    const errand = await theatre.set(scene);
    const passed = await pointsPassed(() => answerOf(theatre, scene, errand));
    await finish(theatre, scene, errand);
    return passed;
  },
  async perform(theatre, fault) {
    const errand = await theatre.killIn(scene, fault);
    await theatre.worker(scene.snapshotter);
    await theatre.check();
    await finish(theatre, scene, errand);
  },
});

/** The start of a worker, after one that was stopped, or that died at `earlier` in the scene's operation. */
const restartPlay = (title: string, scene: Scene, earlier?: Fault): Play => {
  const prepare = async (theatre: Theatre): Promise<Errand> => {
    if (earlier !== undefined) return await theatre.killIn(scene, earlier);
    const errand = await theatre.set(scene);
    await theatre.stopWorker();
    return errand;
  };
  return {
    title,
    pool: "furnished",
    async rehearse(theatre) {
      const errand = await prepare(theatre);
      const passed = await pointsPassed(() => theatre.worker(scene.snapshotter));
      await finish(theatre, scene, errand);
      return passed;
    },
    async perform(theatre, fault) {
      const errand = await prepare(theatre);
      await theatre.kill(fault, { kind: "start" }, scene.snapshotter);
      await theatre.worker(scene.snapshotter);
      await theatre.check();
      await finish(theatre, scene, errand);
    },
  };
};

/** The stop of a worker, with the scene's snapshots active. */
const stopPlay = (title: string, scene: Scene): Play => ({
  title,
  pool: "furnished",
  async rehearse(theatre) {
    const errand = await theatre.set(scene);
    const passed = await pointsPassed(() => theatre.stopWorker());
    await finish(theatre, scene, errand);
    return passed;
  },
  async perform(theatre, fault) {
    const errand = await theatre.killIn(scene, fault, "stop");
    await theatre.worker(scene.snapshotter);
    await theatre.check();
    await finish(theatre, scene, errand);
  },
});

const creationPlay: Play = {
  title: "making of the pool",
  pool: "bare",
  async rehearse(theatre) {
    const passed = await pointsPassed(() => theatre.worker());
    await theatre.check();
    return passed;
  },
  async perform(theatre, fault) {
    await theatre.kill(fault, { kind: "start" });
    await furnish(newClient(await theatre.worker()));
    await theatre.check();
    await theatre.stopWorker();
  },
};

const growthBytes = 16 * 2 ** 20;

/** Asked for again, the growth is done, and has been done once. */
async function expectGrowth(theatre: Theatre, dataBytes: number): Promise<void> {
  const hasBytes = await growTo(theatre.place, dataBytes);
  if (hasBytes !== dataBytes) throw new Error(`the pool has ${hasBytes} bytes, not ${dataBytes}`);
  await theatre.check();
  await theatre.checkContents();
}

const growthPlay: Play = {
  title: "growth of the pool",
  pool: "furnished",
  async rehearse(theatre) {
    const dataBytes = dataBytesOf(theatre.place) + growthBytes;
    await theatre.worker();
    const passed = await pointsPassed(() => growTo(theatre.place, dataBytes));
    await expectGrowth(theatre, dataBytes);
    return passed;
  },
  async perform(theatre, fault) {
    const dataBytes = dataBytesOf(theatre.place) + growthBytes;
    await theatre.kill(fault, { kind: "growth", dataBytes });
    await theatre.worker();
    await theatre.check();
    await expectGrowth(theatre, dataBytes);
  },
};

const once = (point: FaultPoint): Fault => ({ point, occurrence: 1 });

export const plays: readonly Play[] = [
  creationPlay,
  restartPlay("start after a reboot", sceneOf("remove of an active snapshot")),
  restartPlay(
    "start after a death in prepare",
    sceneOf("prepare of a base, with its template"),
    once("template.formatted"),
  ),
  restartPlay("start after a death in commit", sceneOf("commit of what is mounted"), once("dm.suspend")),
  restartPlay("start after a death in remove", sceneOf("remove of an active snapshot"), once("remove.deactivated")),
  stopPlay("stop", sceneOf("commit")),
  growthPlay,
  ...scenes.map(operationPlay),
];
