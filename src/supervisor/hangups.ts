// Room: supervisor. Owns what SIGHUP means to `up`: to read its configuration again, or that its terminal was closed.
import { isatty } from "node:tty";

const stdinFd = 0;

/** Listens from its construction until it is disposed of. */
export class Hangups implements Disposable {
  readonly #listener: () => void;
  #reload: (() => void) | undefined;
  /** A reload was asked for before anybody could do it. */
  #isPending = false;

  /** `onTerminalClosed`: SIGHUP came from the kernel, since the terminal from which this process was started is gone. */
  constructor(onTerminalClosed: () => void) {
    const hadTerminal = isatty(stdinFd);
    // The kernel takes a terminal from its processes before it sends them the signal.
    this.#listener = () => (hadTerminal && !isatty(stdinFd) ? onTerminalClosed() : this.#ask());
    process.on("SIGHUP", this.#listener);
  }

  /** Calls `reload` whenever the configuration is to be read again, until disposed of; at once if that was so before. */
  onReload(reload: () => void): Disposable {
    this.#reload = reload;
    if (this.#isPending) this.#ask();
    return {
      [Symbol.dispose]: () => {
        this.#reload = undefined;
      },
    };
  }

  [Symbol.dispose](): void {
    process.off("SIGHUP", this.#listener);
  }

  #ask(): void {
    this.#isPending = this.#reload === undefined;
    this.#reload?.();
  }
}
