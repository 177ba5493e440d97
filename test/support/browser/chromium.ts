// Room: test. Owns a private Chromium without a window: Debian's, started by Playwright under node, gone with the test.
import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { childEnvironment } from "../../../src/config.ts";
import { linesOf } from "../../../src/system/process/lines.ts";
import { describeExit, type RunningProcess, startProcess } from "../../../src/system/process/processes.ts";
import { Tab, type View } from "./tab.ts";

export const chromiumProgram = "chromium-headless-shell";

type Server = RunningProcess<"ignore", "pipe", "ignore">;

const startTimeoutMs = 60_000;
/** What a browser takes to end in order, on a busy machine. */
const graceMs = 10_000;
const fonts = join(import.meta.dir, "../../../.tools/tree/usr/share/fonts");

/**
 * Playwright drives the browser from node, since bun lacks some of what that takes; tests use its whole API through a
 * WebSocket on loopback. Disposing of it ends all of its processes; they also end with the test, however that ends: node
 * dies with its parent, and Chromium when its pipe to node closes.
 */
export class Chromium implements AsyncDisposable {
  readonly #browser: Browser;
  readonly #server: Server;
  readonly #directory: string;

  private constructor(browser: Browser, server: Server, directory: string) {
    this.#browser = browser;
    this.#server = server;
    this.#directory = directory;
  }

  /** Profile, caches and whatever else it writes are in a temporary directory of its own. */
  static async start(): Promise<Chromium> {
    const directory = await mkdtemp(join(tmpdir(), "snapmill-browser-"));
    const server = startServer(directory);
    try {
      const browser = await chromium.connect(await endpointOf(server), { timeout: startTimeoutMs });
      return new Chromium(browser, server, directory);
    } catch (error) {
      await takeDown(server, directory);
      throw error;
    }
  }

  get pid(): number {
    return this.#server.pid;
  }

  /** A tab with cookies and cache of its own. Paths that it is sent to are below `baseUrl`. */
  async open(baseUrl: string, view: View = {}): Promise<Tab> {
    return await Tab.open(this.#browser, baseUrl, view);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await takeDown(this.#server, this.#directory);
  }
}

async function takeDown(server: Server, directory: string): Promise<void> {
  await server.stop({ graceMs });
  await rm(directory, { recursive: true, force: true });
}

function startServer(directory: string): Server {
  const program = Bun.which(chromiumProgram);
  if (program === null) throw new Error(`${chromiumProgram} is not on PATH; npm test provides it`);
  const options = join(directory, "launch.json");
  writeFileSync(options, JSON.stringify({ ...launchOptions(), executablePath: program }));
  const fontSettings = join(directory, "fonts.conf");
  writeFileSync(fontSettings, fontConfiguration(directory));
  mkdirSync(join(directory, "home"));
  const playwright = dirname(createRequire(import.meta.url).resolve("playwright-core/package.json"));
  const command = ["node", join(playwright, "cli.js"), "launch-server", "--browser", "chromium", "--config", options];
  const environment = {
    ...childEnvironment({}),
    TMPDIR: directory,
    HOME: join(directory, "home"),
    XDG_CACHE_HOME: directory,
    XDG_CONFIG_HOME: directory,
    FONTCONFIG_FILE: fontSettings,
  };
  return startProcess(command, { environment, stdin: "ignore", stdout: "pipe", stderr: "ignore" });
}

/** Of Playwright's launchServer. */
const launchOptions = () => ({
  host: "127.0.0.1",
  // Chromium's sandbox refuses to run as root, as tests of devices do. What it shows here are pages of this repository.
  chromiumSandbox: false,
  args: [
    // Nothing leaves the machine: no name but this one is found, and all else goes to a proxy that is not there.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=127.0.0.1",
    "--disable-background-networking",
    // The same pixels everywhere.
    "--disable-gpu",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
  ],
});

const fontConfiguration = (cache: string): string => `<?xml version="1.0"?>
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir>${fonts}</dir>
  <cachedir>${cache}</cachedir>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>serif</family><prefer><family>DejaVu Serif</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
  <match><edit name="family" mode="append_last"><string>DejaVu Sans</string></edit></match>
</fontconfig>
`;

/** Where it listens: the first line of its output. */
async function endpointOf(server: Server): Promise<string> {
  const timer = setTimeout(() => server.kill("SIGKILL"), startTimeoutMs);
  let said = "";
  try {
    for await (const line of linesOf(server.stdout)) {
      if (line.startsWith("ws://")) return line.trim();
      said += `${line}\n`;
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(`${chromiumProgram} does not start: node ${describeExit(await server.exited)}\n${said}`);
}
