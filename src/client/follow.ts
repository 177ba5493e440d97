// Room: client. Owns waiting for an operation that has a place: by its events, by asking where they fail, until it ends.
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { type ErrorCode, errorCodes } from "../domain/errors.ts";
import { pause, startTimer } from "../domain/timers.ts";
import { repeated } from "./attempts.ts";
import { eventData } from "./events.ts";
import { ApiError, notSnapmill } from "./failures.ts";
import type { Transport } from "./transport.ts";

/** How an operation stands. */
interface State {
  readonly state: "running" | "done" | "failed";
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly failure?: { readonly code: string; readonly message: string };
}

export interface Following {
  readonly transport: Transport;
  /** Its path. */
  readonly place: string;
  readonly operationId: string;
  /** Cancels the operation. */
  readonly signal: AbortSignal | undefined;
  /** Ends the waiting alone. */
  readonly late?: AbortSignal;
  readonly onProgress: ((progress: unknown) => void) | undefined;
  /** How long a stream of events may be silent: the server sends a sign of life every 5 seconds. */
  readonly silenceMs?: number;
}

const defaultSilenceMs = 20_000;
const pollMs = 1_000;
/** An operation goes on while its server restarts: it is asked for again this often, about a minute and a half. */
const lookAttempts = 50;
/** How long to wait for the end of an operation that was cancelled. */
const cancelMs = 15_000;
const cancelAttempts = 4;

/** Returns the operation's result, or throws its failure. `signal` cancels it; then its reason is thrown. */
export async function followed(following: Following): Promise<unknown> {
  const { signal, late, operationId, onProgress } = following;
  const ends = [signal, late].filter((end) => end !== undefined);
  try {
    for await (const state of statesOf({ ...following, signal: AbortSignal.any(ends) })) {
      if (state.progress !== undefined) onProgress?.(state.progress);
      if (state.state === "done") return state.result;
      if (state.state === "failed") throw failureOf(state, operationId);
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    await cancel(following);
  }
  throw signal?.reason;
}

/** Endless. Throws the reason of `signal`, and what stays wrong. */
async function* statesOf(following: Following): AsyncGenerator<State> {
  const { transport, place, signal } = following;
  const wanted = { method: "GET", target: place, body: undefined } as const;
  const look = () => transport.send(wanted, { signal, timeoutMs: defaultSilenceMs });
  for (;;) {
    yield* streamed(following);
    signal?.throwIfAborted();
    yield stateOf((await repeated(look, { attempts: lookAttempts, signal })).body, transport.host);
    await pause(pollMs, signal);
  }
}

/** Until the stream ends, breaks off or falls silent; what is wrong with it, who asks for the state will hear. */
async function* streamed(following: Following): AsyncGenerator<State> {
  const { transport, place, signal, silenceMs = defaultSilenceMs } = following;
  const broken = new Canceller();
  const silent = () => broken.cancel(new AbortReason("deadline", "the events fell silent"));
  const ended = AbortSignal.any([broken.signal, ...(signal === undefined ? [] : [signal])]);
  let timer = startTimer(silenceMs, silent);
  async function* heard(body: AsyncIterable<Uint8Array>) {
    for await (const chunk of body) {
      timer[Symbol.dispose]();
      timer = startTimer(silenceMs, silent);
      yield chunk;
    }
  }
  try {
    const wanted = { method: "GET", target: `${place}/events`, body: undefined } as const;
    const { body } = await transport.stream(wanted, { accept: "text/event-stream" }, ended);
    if (body !== null) {
      for await (const data of eventData(heard(body))) yield stateOf(JSON.parse(data), transport.host);
    }
  } catch {
    // The state that is asked for next tells more.
  } finally {
    timer[Symbol.dispose]();
    broken.cancel(new AbortReason("over", "the events are not read any further"));
  }
}

/** It may have ended by itself, and what cannot be cancelled goes on. */
async function cancel({ transport, place }: Following): Promise<void> {
  const late = new Canceller();
  const reason = new AbortReason("deadline", "the operation was not cancelled in time");
  using _timer = startTimer(cancelMs, () => late.cancel(reason));
  const wanted = { method: "DELETE", target: place, body: undefined } as const;
  const send = () => transport.send(wanted, { signal: late.signal, timeoutMs: cancelMs });
  await repeated(send, { attempts: cancelAttempts, signal: late.signal }).catch(() => undefined);
}

function stateOf(body: unknown, host: string): State {
  const state = typeof body === "object" && body !== null && "state" in body ? body.state : undefined;
  if (state === "running" || state === "done" || state === "failed") return body as State;
  throw notSnapmill(host, "the state of an operation has another shape");
}

function failureOf({ failure }: State, operationId: string): ApiError {
  const code: ErrorCode = errorCodes.find((known) => known === failure?.code) ?? "internal";
  return new ApiError(code, failure?.message ?? "the operation failed", { operationId });
}
