// Room: api. Owns what can be done about an operation: cancel it, have its image unpacked again, retry or discard a removal.
/** @jsxImportSource hono/jsx */

import { commandOn } from "../../../domain/verdict-trouble.ts";
import type { OperationAccount } from "../../../service/operation-account.ts";
import { unpack } from "../../../service/unpack.ts";
import { Action } from "./action.tsx";
import { DiscardOne, RetryOne } from "./removal-actions.tsx";
import { unpackWords } from "./unpack-state.tsx";
import type { View } from "./view.ts";

interface Given {
  readonly view: View;
  readonly account: OperationAccount;
}

export function OperationActions({ view, account }: Given) {
  const { removal, pool, canBeCancelled } = account;
  return (
    <div class="actions">
      {removal === null || pool === null ? null : (
        <>
          <RetryOne view={view} removal={removal} pool={pool} />
          <DiscardOne view={view} removal={removal} pool={pool} />
        </>
      )}
      {canBeCancelled ? <Cancel view={view} account={account} /> : null}
      <UnpackAgain view={view} account={account} />
    </div>
  );
}

const Cancel = ({ view, account: { operationId, operation, pool } }: Given) => (
  <Action
    view={view}
    operation="cancelOperation"
    given={{ operationId }}
    label="Cancel the operation"
    about={
      operation === "unpack"
        ? "It ends as soon as it can; what it has unpacked of the image stays."
        : "It is taken back if it has not begun."
    }
    command={
      operation === "unpack" && pool !== null
        ? commandOn(pool, `unpacks cancel ${operationId}`)
        : `curl -X DELETE -H "authorization: Bearer $TOKEN" ${view.url.origin}/v1/operations/${operationId}`
    }
    reason="optional"
  />
);

/** Of a batch, its page has them unpacked again. */
function UnpackAgain({ view, account: { state, operation, pool, payload } }: Given) {
  if (state !== "failed" || operation !== "unpack" || pool === null) return null;
  const { data } = unpack.input.safeParse(payload);
  if (data === undefined || data.batch !== undefined) return null;
  const { batch: _none, ...given } = data;
  const { reference: image, platform = null, registry = null } = given;
  return (
    <Action
      view={view}
      operation="unpack"
      pool={pool}
      given={given}
      label="Unpack the image again"
      command={commandOn(pool, unpackWords({ image, platform, registry }))}
      reason="optional"
    />
  );
}
