// Room: test. Owns an mkfs.ext4 that takes as long as a test wants: it is found first on PATH, and ends in the real one.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { until } from "./until.ts";

/** After `hold`, the first snapshot of each size waits for its file system until `release`. */
export class SlowMkfs implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "snapmill-mkfs-"));
  readonly #brake = join(this.#directory, "brake");
  readonly #started = join(this.#directory, "started");
  /** The PATH for the programs that are to find it. */
  readonly path = `${this.#directory}:${childEnvironment({})["PATH"] ?? ""}`;

  constructor() {
    const program = join(this.#directory, "mkfs.ext4");
    const real = Bun.which("mkfs.ext4") ?? "/sbin/mkfs.ext4";
    writeFileSync(
      program,
      `#!/bin/sh\n: >'${this.#started}'\nwhile [ -e '${this.#brake}' ]; do sleep 0.05; done\nexec ${real} "$@"\n`,
    );
    chmodSync(program, 0o755);
  }

  hold(): void {
    rmSync(this.#started, { force: true });
    writeFileSync(this.#brake, "");
  }

  release(): void {
    rmSync(this.#brake, { force: true });
  }

  /**
   * Waits until it has been started since the last `hold`. Before that, a process that is about to become it looks like
   * the worker that starts it.
   */
  async untilStarted(): Promise<void> {
    await until("mkfs.ext4 is started", () => existsSync(this.#started));
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
