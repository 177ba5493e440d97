// Room: api. Owns the stream of events by which an open page learns that it should be fetched again.
import type { Context } from "hono";
import { pause } from "../../../domain/timers.ts";
import { changeStamp } from "../../../service/change-stamp.ts";
import type { Host } from "../../../service/host.ts";
import type { StreamSlots } from "../request-rates.ts";
import { streamHeaders, streamOf } from "../v1/events.ts";
import { Problem } from "../v1/problems.ts";
import type { Viewer, ViewerEnv } from "./viewer.ts";

const lookEveryMs = 1_000;
/** Queues, devices and ages change without a database; and what is between here and the browser drops silent connections. */
const anywayEveryMs = 5_000;

/** `?follows=seconds`: each second, whatever has changed. It ends with the session; the open ones of a token are counted. */
export function answerChanges(context: Context<ViewerEnv>, host: Host, slots: StreamSlots): Response {
  const viewer = context.get("viewer");
  // Without a body, nothing would end it.
  if (context.req.method === "HEAD") return new Response(null, { headers: streamHeaders });
  const slot = slots.take(viewer.tokenName);
  if (slot === undefined) throw new Problem("too_many_requests", "too many pages are open with this token");
  viewer.signal.addEventListener("abort", () => slot[Symbol.dispose](), { once: true });
  const everyMs = context.req.query("follows") === "seconds" ? 0 : anywayEveryMs;
  return streamOf(changes(host, viewer, slot, everyMs), context.env);
}

async function* changes(
  host: Host,
  { signal, holds }: Viewer,
  slot: Disposable,
  everyMs: number,
): AsyncGenerator<string> {
  using _slot = slot;
  let seen = changeStamp(host);
  let toldAtMs = performance.now();
  yield "retry: 3000\n: open\n\n";
  for (;;) {
    await pause(lookEveryMs, signal);
    if (signal.aborted || !holds()) return;
    const stamp = changeStamp(host);
    if (stamp === seen && performance.now() - toldAtMs < everyMs) continue;
    seen = stamp;
    toldAtMs = performance.now();
    yield "event: changed\ndata: 1\n\n";
  }
}
