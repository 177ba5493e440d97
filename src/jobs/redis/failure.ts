// Room: jobs. Owns what a failure of Redis or of BullMQ's commands means to a caller.
import { asSnapmillError, resourceExhausted, SnapmillError } from "../../domain/errors.ts";

/** Redis gives no answer. As another process' failure, it arrives here as a plain `unavailable`. */
export class RedisAway extends SnapmillError {
  constructor(message: string, cause?: unknown) {
    super("unavailable", message, cause === undefined ? undefined : { cause });
  }
}

/** ioredis' and BullMQ's own words for "no connection" and "no answer", as of ioredis 6 and BullMQ 6.7. */
const noAnswer =
  /Connection is closed|Command timed out|max retries per request|isn't writeable|Socket closed|connect /i;
/** First words of Redis' error replies that pass, or that an operator ends. */
const notNow = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOAUTH|WRONGPASS|NOPERM|MISCONF|NOREPLICAS)\b/;

/** `error` of a Redis command as a SnapmillError; what is neither Redis' nor the network's is `internal`. */
export function asRedisFailure(error: unknown): SnapmillError {
  if (error instanceof SnapmillError || !(error instanceof Error)) return asSnapmillError(error);
  if (error.message.startsWith("OOM ")) return resourceExhausted(`Redis has no memory left: ${error.message}`, error);
  const isNetwork = "syscall" in error || ("code" in error && typeof error.code === "string");
  if (isNetwork || noAnswer.test(error.message) || notNow.test(error.message)) {
    return new RedisAway(`Redis does not answer: ${error.message}`, error);
  }
  return asSnapmillError(error);
}
