// Room: domain. Owns what becomes of a change that was interrupted by the end of its `up`.

/**
 * What it is to ask for it again, by the same key. `journaled`: it is one job under the operation's own ID, whose journal
 * has the answer. `repeated`: it runs once more; its parts have IDs that follow from its own, or find nothing left to do.
 * `unknown`: its caller is told that nobody knows its end.
 */
export const recoveries = ["journaled", "repeated", "unknown"] as const;
export type Recovery = (typeof recoveries)[number];
