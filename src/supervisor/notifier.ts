// Room: supervisor. Owns what the service manager (systemd) is told of this process: its state, and that it is alive.
import type { ServiceManagerSettings } from "../config.ts";
import type { Health } from "../domain/health.ts";
import { startTimer, type Timer } from "../domain/timers.ts";
import type { Logger } from "../logger.ts";
import { monotonicUs, NotifySocket } from "../system/process/notify-socket.ts";

/** How often more time is asked for, and for how long: systemd counts on the next request within it. */
const extendEveryMs = 5_000;
const extendByMs = 30_000;
/** Then the unit's own time-out holds: every step of a start or stop is bounded, but a bound may be wrong. */
const extendForMs = 30 * 60_000;
/** The pause before a message is sent again that the manager had no room for. */
const againAfterMs = 100;

/** Tells nothing where no service manager listens. What cannot be told is logged, and never fails the caller. */
export class Notifier implements Disposable {
  readonly #log: Logger;
  readonly #timers = new Set<ReturnType<typeof setInterval>>();
  /** What the manager had no room for, in order. */
  readonly #unsent: string[] = [];
  #socket: NotifySocket | undefined;
  #extending: ReturnType<typeof setInterval> | undefined;
  #again: Timer | undefined;
  #status = "";

  constructor({ socket, watchdogMs }: ServiceManagerSettings, log: Logger) {
    this.#log = log;
    if (socket === undefined) return;
    try {
      this.#socket = new NotifySocket(socket);
    } catch (error) {
      log.warn({ err: error }, "the service manager cannot be told anything (NOTIFY_SOCKET)");
      return;
    }
    // Twice in its time. It comes from this process's event loop: a supervisor that hangs is to be ended.
    if (watchdogMs !== undefined) this.#repeat(watchdogMs / 2, () => this.#mention("WATCHDOG=1"));
  }

  /** Asks for more time until `ready`. `describe`: what is being waited for. */
  starting(describe: () => string): void {
    this.#extendWhile(() => `STATUS=starting: ${describe()}`);
  }

  ready(): void {
    this.#stopExtending();
    this.#status = "ready";
    this.#tell("READY=1", "STATUS=ready");
  }

  /** What `systemctl status` shows; told when it has changed. */
  health({ ok, reasons }: Pick<Health, "ok" | "reasons">): void {
    const status = ok ? "ready" : `not ready: ${reasons.join("; ")}`;
    if (status !== this.#status) this.#mention(`STATUS=${status}`);
    this.#status = status;
  }

  /** `ready` says when it is over. */
  reloading(): void {
    this.#tell("RELOADING=1", `MONOTONIC_USEC=${monotonicUs()}`, "STATUS=reading the configuration again");
  }

  /** Asks for more time until this is disposed of. */
  stopping(reason: string): void {
    this.#tell("STOPPING=1");
    this.#extendWhile(() => `STATUS=${reason}`);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers.clear();
    this.#socket?.[Symbol.dispose]();
    this.#socket = undefined;
    this.#again?.[Symbol.dispose]();
  }

  #extendWhile(status: () => string): void {
    this.#stopExtending();
    const untilMs = performance.now() + extendForMs;
    const extend = () => {
      if (performance.now() > untilMs) return this.#stopExtending();
      this.#mention(`EXTEND_TIMEOUT_USEC=${extendByMs * 1_000}`, status());
    };
    extend();
    this.#extending = this.#repeat(extendEveryMs, extend);
  }

  #stopExtending(): void {
    clearInterval(this.#extending);
    if (this.#extending !== undefined) this.#timers.delete(this.#extending);
    this.#extending = undefined;
  }

  #repeat(everyMs: number, action: () => void): ReturnType<typeof setInterval> | undefined {
    if (this.#socket === undefined) return undefined;
    const timer = setInterval(action, everyMs);
    timer.unref();
    this.#timers.add(timer);
    return timer;
  }

  /** For what is true only now: it is not sent later, behind other messages. */
  #mention(...lines: readonly string[]): void {
    if (this.#unsent.length === 0) this.#tell(...lines);
  }

  /** The lines of one message. A sentence of several lines would be several assignments. */
  #tell(...lines: readonly string[]): void {
    if (this.#socket === undefined) return;
    this.#unsent.push(lines.map((line) => line.replaceAll(/\s+/g, " ")).join("\n"));
    this.#send();
  }

  /** Sends what is unsent, as far as the manager has room, and tries again later. */
  #send(): void {
    this.#again?.[Symbol.dispose]();
    try {
      for (let [next] = this.#unsent; next !== undefined; [next] = this.#unsent) {
        if (this.#socket?.send(next) !== true) {
          this.#again = startTimer(againAfterMs, () => this.#send()).unref();
          return;
        }
        this.#unsent.shift();
      }
    } catch (error) {
      this.#unsent.length = 0;
      this.#log.warn({ err: error }, "the service manager was not told");
    }
  }
}
