// Room: api. Owns the view of every pool's queues: bull-board, read-only, served from this server alone.
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { HonoAdapter } from "@bull-board/hono";
import { Hono } from "hono";
import { serveStatic } from "hono/bun";
import type { PoolName } from "../../domain/identifiers.ts";
import { dashboardQueues } from "../../jobs/dashboard-queues.ts";
import type { JobQueue } from "../../jobs/queues.ts";
import { withoutForeignLinks } from "./foreign-links.ts";

/** Its path on the server; the page's links are relative to it. */
const basePath = "/queues";

export interface DashboardOptions {
  readonly redisUrl: string;
  readonly pools: readonly PoolName[];
}

export class Dashboard implements AsyncDisposable {
  /** Serves /queues and everything below it. */
  readonly app: Hono;
  readonly #close: () => Promise<void>;

  private constructor(app: Hono, close: () => Promise<void>) {
    this.app = app;
    this.#close = close;
  }

  /** Opens its connections to Redis; throws unavailable if Redis does not answer. */
  static async open({ redisUrl, pools }: DashboardOptions): Promise<Dashboard> {
    await using opened = new AsyncDisposableStack();
    const queues: JobQueue[] = [];
    for (const pool of pools) {
      const { pool: calls, unpack } = opened.use(await dashboardQueues(redisUrl, pool));
      queues.push(calls, unpack);
    }
    const board = new HonoAdapter(serveStatic);
    board.setBasePath(basePath);
    createBullBoard({
      queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
      serverAdapter: board,
      options: { uiConfig: { boardTitle: "snapmill", hideRedisDetails: true } },
    });
    const app = new Hono();
    app.use(withoutForeignLinks);
    app.route(basePath, board.registerPlugin());
    const kept = opened.move();
    return new Dashboard(app, () => kept.disposeAsync());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
