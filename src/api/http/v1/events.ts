// Room: api. Owns the server-sent events of an operation: how it stands, whenever that changes, until it has ended.
import type { Context } from "hono";
import { type OperationId, operationId } from "../../../domain/identifiers.ts";
import { pause } from "../../../domain/timers.ts";
import type { Host } from "../../../service/host.ts";
import { getOperation, type OperationState } from "../../../service/operation-state.ts";
import type { Bindings } from "../gate.ts";
import type { StreamSlots } from "../request-rates.ts";
import type { V1Env } from "./caller.ts";
import { Problem } from "./problems.ts";

/** Clients and what is between them and here give up on a silent connection; so does a sender whose client is gone. */
const heartbeatMs = 5_000;
/** Not more often: progress comes with every few megabytes of every layer. */
const paceMs = 200;
/** An operation that was begun elsewhere tells nothing of itself here. */
const lookEveryMs = 1_000;

interface Event {
  /** Of its content: one that a client has seen already, on whichever connection, is not sent again. */
  readonly id: string;
  readonly state: OperationState;
}

/**
 * Each event, `state`, is the whole state, so that a lost one does not matter. With `Last-Event-ID` the first comes when it
 * is another. After the last one the stream ends, and when its token is revoked; a client that comes back with its ID gets 204, and stays away.
 */
export async function answerEvents(context: Context<V1Env>, host: Host, slots: StreamSlots): Promise<Response> {
  const id = operationId(context.req.param("operationId") ?? "");
  const seen = context.req.header("last-event-id");
  const { signal, holds, tokenName } = context.get("caller");
  const first = eventOf(await getOperation(host, { operationId: id }));
  if (first.id === seen && isOver(first)) return new Response(null, { status: 204 });
  if (context.req.method === "HEAD") return new Response(null, { headers: streamHeaders });
  const slot = slots.take(tokenName);
  if (slot === undefined) {
    throw new Problem("too_many_requests", "too many streams of events are open", { "retry-after": "5" });
  }
  signal.addEventListener("abort", () => slot[Symbol.dispose](), { once: true });
  return streamOf(eventsOf(host, id, first, { seen, signal, holds, slot }), context.env);
}

/**
 * An answer that sends each of `events` when the one before was taken, and ends them when nobody listens. Silence does not end
 * the connection until the last of them.
 */
export function streamOf(events: AsyncGenerator<string>, { keepOpen }: Bindings): Response {
  keepOpen?.(0);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await events.next();
      if (done === true) {
        keepOpen?.();
        controller.close();
      } else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await events.return(undefined);
    },
  });
  return new Response(body, { headers: streamHeaders });
}

export const streamHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

interface Listener {
  /** The ID of the last event that it has. */
  readonly seen: string | undefined;
  readonly signal: AbortSignal;
  /** Whether its token is still good. */
  readonly holds: () => boolean;
  /** Free again when it has ended. */
  readonly slot: Disposable;
}

/** The texts to send, one for each time that the client has taken the one before. */
async function* eventsOf(
  host: Host,
  id: OperationId,
  first: Event,
  { seen, signal, holds, slot }: Listener,
): AsyncGenerator<string> {
  using _slot = slot;
  let last = seen;
  let sentAtMs = performance.now();
  for (let event = first; !signal.aborted && holds(); event = eventOf(await getOperation(host, { operationId: id }))) {
    if (event.id !== last) {
      yield `id: ${event.id}\nevent: state\ndata: ${JSON.stringify(event.state)}\n\n`;
      last = event.id;
      sentAtMs = performance.now();
    } else if (performance.now() - sentAtMs >= heartbeatMs) {
      yield ": still there\n\n";
      sentAtMs = performance.now();
    }
    if (isOver(event)) return;
    const changed = host.operations.find(id)?.changed;
    await pause(paceMs, signal);
    await Promise.race([pause(lookEveryMs - paceMs, signal), ...(changed === undefined ? [] : [changed])]);
  }
}

const isOver = ({ state }: Event): boolean => state.state !== "running";

const eventOf = (state: OperationState): Event => ({ id: Bun.hash(JSON.stringify(state)).toString(36), state });
