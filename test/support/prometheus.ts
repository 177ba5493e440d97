// Room: test. Owns a private Prometheus: Debian's, on a loopback port, scraping what a test gives it every three seconds.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

export interface Target {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** The password of the user snapmill. Default: nobody is asked for one. */
  readonly password?: string;
}

const answer = z.object({
  data: z.object({
    result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
  }),
});
const rulesAnswer = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        rules: z.array(z.object({ name: z.string(), health: z.string(), lastError: z.string().optional() })),
      }),
    ),
  }),
});

/** A series of an answer, and its value: NaN where Prometheus has none. */
export interface Found {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Disposing of it ends the process; the caller removes its directory. */
export class Prometheus implements AsyncDisposable {
  readonly #url: string;
  readonly #process: Bun.Subprocess;

  private constructor(url: string, process: Bun.Subprocess) {
    this.#url = url;
    this.#process = process;
  }

  /** `ruleFile`: evaluated every second. */
  static async start(directory: string, targets: readonly Target[], ruleFile: string): Promise<Prometheus> {
    mkdirSync(directory, { recursive: true });
    const host = `127.0.0.1:${await freePort()}`;
    const file = join(directory, "prometheus.json");
    writeFileSync(file, JSON.stringify(configuration(targets, ruleFile)));
    const output = openSync(join(directory, "log"), "a");
    const options = [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(directory, "data")}`,
      `--web.listen-address=${host}`,
      // Debian's package has its pages elsewhere than where it is unpacked to; the API needs none.
      "--web.console.templates=",
      "--web.console.libraries=",
    ];
    const command = ["setpriv", "--pdeathsig", "KILL", "--", "prometheus", ...options];
    const process = Bun.spawn(command, { stdin: "ignore", stdout: output, stderr: output });
    closeSync(output);
    const prometheus = new Prometheus(`http://${host}`, process);
    try {
      await until(
        "Prometheus is ready",
        async () => ({ ready: await prometheus.#isReady(), log: readFileSync(join(directory, "log"), "utf8") }),
        ({ ready }) => ready,
        60_000,
      );
      return prometheus;
    } catch (error) {
      await prometheus[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the query finds now; throws what Prometheus says is wrong with it. */
  async find(query: string): Promise<Found[]> {
    const { data } = answer.parse(await this.#ask(`query?${new URLSearchParams({ query }).toString()}`));
    return data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }));
  }

  /** The rules, and how their last evaluation went: "ok", "unknown" before the first, or "err". */
  async rules(): Promise<{ name: string; health: string; lastError?: string | undefined }[]> {
    return rulesAnswer.parse(await this.#ask("rules")).data.groups.flatMap(({ rules }) => rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  async #ask(question: string): Promise<unknown> {
    const reply = await fetch(`${this.#url}/api/v1/${question}`);
    if (!reply.ok) throw new Error(`Prometheus refused ${question}: ${await reply.text()}`);
    return await reply.json();
  }

  async #isReady(): Promise<boolean> {
    return await fetch(`${this.#url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  }
}

/** YAML includes JSON. */
const configuration = (targets: readonly Target[], ruleFile: string) => ({
  global: { scrape_interval: "3s", scrape_timeout: "3s", evaluation_interval: "1s" },
  rule_files: [ruleFile],
  scrape_configs: targets.map(({ host, password }, index) => ({
    // Targets of one job must not differ in how they are asked; the label is the same for all.
    job_name: `target-${index}`,
    ...(password !== undefined && { basic_auth: { username: "snapmill", password } }),
    static_configs: [{ targets: [host], labels: { job: "snapmill" } }],
  })),
});
