// Room: test. Owns a removal that fails, because a real process has the device open, until it is ended.
import { until } from "../../support/until.ts";
import type { RunningApi } from "./running-api.ts";

interface Listed {
  readonly key: string | null;
  readonly device: string;
  readonly operationId: string;
  readonly state: string;
  readonly lastError: string | null;
  readonly heldBy: { readonly holders: readonly { readonly pid: number | null }[] } | null;
}

export class HeldRemoval {
  readonly device: string;
  readonly operationId: string;
  readonly key: string;
  readonly #child: Bun.Subprocess;

  private constructor({ device, operationId }: Listed, key: string, child: Bun.Subprocess) {
    this.device = device;
    this.operationId = operationId;
    this.key = key;
    this.#child = child;
  }

  /** Resolves once an attempt has failed and the list names the process. `words` stand on its command line. */
  static async start(api: RunningApi, key: string, words = "held"): Promise<HeldRemoval> {
    const query = new URLSearchParams({ key }).toString();
    const made = await api.pool(`/snapshot/prepare?${query}`, { method: "POST", body: {} });
    if (made.status !== 200) throw new Error(`prepare was answered ${made.status}: ${JSON.stringify(made.body)}`);
    const child = Bun.spawn(["sh", "-c", "read -r _", words], {
      stdin: "pipe",
      stdout: Bun.file(made.body.mounts[0].source),
    });
    try {
      const gone = await api.pool(`/snapshot?${query}`, { method: "DELETE" });
      if (gone.status !== 200) throw new Error(`the removal was answered ${gone.status}: ${JSON.stringify(gone.body)}`);
      const listed = await until(
        "its holder is named",
        () => removalsIn(api),
        (all) => isNamed(find(all, key), child.pid),
      );
      return new HeldRemoval(find(listed, key) as Listed, key, child);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Nobody holds the device any more. */
  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

export const removalsIn = async (api: RunningApi): Promise<readonly Listed[]> =>
  (await api.pool("/removals?limit=500")).body.items;

const find = (all: readonly Listed[], key: string) => all.find((each) => each.key === key);
const isNamed = (found: Listed | undefined, pid: number) =>
  found?.heldBy?.holders.some((each) => each.pid === pid) === true;
