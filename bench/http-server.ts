// Room: bench. Owns an `up` to be measured, and the two ways to its API: the UNIX socket and TCP.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Config, childEnvironment, paths } from "../src/config.ts";
import { inTime, pause } from "../src/domain/timers.ts";

const readyMs = 120_000;
const stopMs = 60_000;
const changeMs = 600_000;
const askAgainMs = 50;

/** How requests go to the server. */
export interface Way {
  readonly name: string;
  readonly url: string;
  readonly init: { readonly unix?: string; readonly headers: Readonly<Record<string, string>> };
}

/** Disposing of it ends it. */
export class MeasuredUp implements AsyncDisposable {
  readonly socket: Way;
  readonly tcp: Way;
  readonly #child: Bun.Subprocess;

  private constructor(child: Bun.Subprocess, config: Config, url: string) {
    const token = readFileSync(paths.httpToken(config), "utf8").trim();
    this.#child = child;
    this.socket = {
      name: "UNIX socket",
      url: "http://localhost",
      init: { unix: paths.httpSocket(config), headers: {} },
    };
    this.tcp = { name: "TCP", url, init: { headers: { authorization: `Bearer ${token}` } } };
  }

  /** Throws when it is not ready in time, and the reason of `signal`; nothing is left of it then. */
  static async start(config: Config, settings: Readonly<Record<string, string>>, signal: AbortSignal) {
    // The launcher provides what snapmill needs, Redis above all.
    const launcher = join(import.meta.dir, "../snapmill");
    const environment = { ...childEnvironment({}), ...settings };
    // In a group of its own: Ctrl-C reaches this process alone, which ends it when nothing asks it any more.
    const child = Bun.spawn([launcher, "up"], {
      env: environment,
      stdout: "pipe",
      stderr: "inherit",
      detached: true,
    });
    try {
      return new MeasuredUp(child, config, await urlOf(child.stdout, signal));
    } catch (error) {
      await end(child);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child);
  }
}

/** Reads on until the program ends: it would fail to write to a pipe that nobody reads. */
async function urlOf(output: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<string> {
  const ready = Promise.withResolvers<string>();
  let said = "";
  const listen = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of output) {
      said = (said + decoder.decode(chunk, { stream: true })).slice(-10_000);
      const url = /http:\/\/[^/\s]+/.exec(said)?.[0];
      if (url !== undefined && said.includes("snapmill is ready")) ready.resolve(url);
    }
    ready.resolve("");
  };
  void listen();
  const url = await Promise.race([inTime(readyMs, ready.promise), pause(readyMs, signal)]);
  signal.throwIfAborted();
  if (!url) throw new Error(`up did not become ready within ${readyMs / 1_000} s: ${said}`);
  return url;
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  if ((await inTime(stopMs, child.exited)) !== undefined) return;
  child.kill("SIGKILL");
  await child.exited;
  throw new Error(`up did not end within ${stopMs / 1_000} s of SIGTERM: see what its state directory is mounted by`);
}

/** A read whose answer is taken whole. */
export async function read({ url, init }: Way, path: string, signal: AbortSignal): Promise<void> {
  const answer = await fetch(url + path, { ...init, signal });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
}

interface Operation {
  readonly state: "running" | "done" | "failed";
  readonly failure?: { readonly message: string };
}

/** A change over the socket, waited for until it has ended. */
export async function change({ url, init }: Way, path: string, body: object, signal: AbortSignal): Promise<void> {
  const headers = { ...init.headers, "content-type": "application/json", prefer: "wait=60" };
  const untilMs = performance.now() + changeMs;
  const answer = await fetch(url + path, { ...init, method: "POST", body: JSON.stringify(body), headers, signal });
  const text = await answer.text();
  if (answer.status === 200) return;
  const place = answer.headers.get("location");
  if (answer.status !== 202 || place === null) throw new Error(`${path}: ${answer.status} ${text}`);
  while (performance.now() < untilMs) {
    const state = (await (await fetch(url + place, { ...init, signal })).json()) as Operation;
    if (state.state === "done") return;
    if (state.state === "failed") throw new Error(`${path}: ${String(state.failure?.message)}`);
    await pause(askAgainMs, signal);
  }
  throw new Error(`${path} did not end within ${changeMs / 1_000} s`);
}
