// Room: client. Owns waiting for an operation that has a place: by its events, by asking where they fail, until it ends.
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { type ErrorCode, errorCodes } from "../domain/errors.ts";
import { pause, startTimer } from "../domain/timers.ts";
import { repeated } from "./attempts.ts";
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
  readonly attempts: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: unknown) => void) | undefined;
}

/** The server sends a sign of life more often. */
const silenceMs = 20_000;
const pollMs = 1_000;
/** How long to wait for the end of an operation that was cancelled. */
const cancelMs = 15_000;

/** Returns the operation's result, or throws its failure. `signal` cancels it; then its reason is thrown. */
export async function followed(following: Following): Promise<unknown> {
  const { signal, place, transport } = following;
  try {
    for (;;) {
      const state = (await lastEvent(following)) ?? (await looked(following));
      if (state.state === "done") return state.result;
      if (state.state === "failed") throw failureOf(state, following.operationId);
      await pause(pollMs, signal);
      signal?.throwIfAborted();
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    const wanted = { method: "DELETE", target: place, body: undefined } as const;
    // It may have ended by itself, and what cannot be cancelled goes on.
    await transport.send(wanted, { timeoutMs: cancelMs }).catch(() => undefined);
    throw signal.reason;
  }
}

async function looked({ transport, place, attempts, signal, onProgress }: Following): Promise<State> {
  const wanted = { method: "GET", target: place, body: undefined } as const;
  const { body } = await repeated(() => transport.send(wanted, { signal, timeoutMs: silenceMs }), { attempts, signal });
  return told(stateOf(body, transport.host), onProgress);
}

/** The state that the stream ended with; undefined: it broke off. */
async function lastEvent(following: Following): Promise<State | undefined> {
  const { transport, place, signal, onProgress } = following;
  const broken = new Canceller();
  const silent = () => broken.cancel(new AbortReason("deadline", "the events fell silent"));
  const ended = AbortSignal.any([broken.signal, ...(signal === undefined ? [] : [signal])]);
  let timer = startTimer(silenceMs, silent);
  try {
    const wanted = { method: "GET", target: `${place}/events`, body: undefined } as const;
    const response = await transport.stream(wanted, { accept: "text/event-stream" }, ended);
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      timer[Symbol.dispose]();
      timer = startTimer(silenceMs, silent);
      const parts = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
      text = parts.pop() ?? "";
      for (const data of parts.flatMap((part) => /^data: (.*)$/m.exec(part)?.[1] ?? [])) {
        const state = told(stateOf(JSON.parse(data), transport.host), onProgress);
        if (state.state !== "running") return state;
      }
    }
  } catch {
    signal?.throwIfAborted();
  } finally {
    timer[Symbol.dispose]();
    broken.cancel(new AbortReason("over", "the events are not read any further"));
  }
  return undefined;
}

function told(state: State, onProgress: Following["onProgress"]): State {
  if (state.state === "running" && state.progress !== undefined) onProgress?.(state.progress);
  return state;
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
