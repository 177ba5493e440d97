// Room: supervisor. Owns the taking over of new settings by all who read them: either all do, or none.
import type { Reader } from "../config/setting.ts";
import type { Config } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import type { Services } from "./services.ts";

/** The settings of one pool: as they are, and as they are to be for `readers`. */
export interface Step {
  readonly before: Config;
  readonly next: Config;
  readonly readers: ReadonlySet<Reader>;
}

export interface Takers {
  readonly services: Pick<Services, "reload">;
  /** Takes over what `up` itself reads. Throws why that does not work; then it has changed nothing. */
  readonly onOwn: (config: Config) => void;
  /** Nothing is begun any more: everything is being stopped. */
  readonly isOver: () => boolean;
}

/** Why nothing was taken over. */
export class NotTakenOver extends Error {
  override readonly name = "NotTakenOver";
  /** Pools that could not go back: they are served with the new settings, a sentence for each says why. */
  readonly ahead: ReadonlyMap<PoolName, string>;

  constructor(message: string, ahead: ReadonlyMap<PoolName, string>, cause: unknown) {
    super(message, { cause });
    this.ahead = ahead;
  }
}

/** `up` first, which takes no time, then the workers of one pool after the other. Throws NotTakenOver. */
export async function takeOverAll(steps: readonly Step[], takers: Takers): Promise<void> {
  const own = steps.find(({ readers }) => readers.has("up"));
  const ofWorkers = steps.filter(({ readers }) => workersAmong(readers).size > 0);
  const done: Step[] = [];
  let who = "up";
  try {
    if (own !== undefined && !takers.isOver()) takers.onOwn(own.next);
    for (const step of ofWorkers) {
      if (takers.isOver()) return;
      who = `the workers of pool ${step.next.pool}`;
      await takers.services.reload(step.next, workersAmong(step.readers));
      done.push(step);
    }
  } catch (error) {
    const isOwnDone = who !== "up";
    const ahead = await goBack(done, isOwnDone ? own : undefined, takers);
    throw new NotTakenOver(`${who} cannot run with it: ${asSnapmillError(error).message}`, ahead, error);
  }
}

async function goBack(done: readonly Step[], own: Step | undefined, takers: Takers): Promise<Map<PoolName, string>> {
  const ahead = new Map<PoolName, string>();
  try {
    if (own !== undefined && !takers.isOver()) takers.onOwn(own.before);
  } catch (error) {
    ahead.set(own?.before.pool as PoolName, `up keeps the new settings of HTTP: ${asSnapmillError(error).message}`);
  }
  for (const { before, readers } of done.toReversed()) {
    if (takers.isOver()) break;
    try {
      await takers.services.reload(before, workersAmong(readers));
    } catch (error) {
      const { message } = asSnapmillError(error);
      ahead.set(before.pool, `the workers of pool ${before.pool} keep the new settings: ${message}`);
    }
  }
  return ahead;
}

const workersAmong = (readers: ReadonlySet<Reader>): ReadonlySet<Reader> =>
  new Set([...readers].filter((reader) => reader !== "up"));
