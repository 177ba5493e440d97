// Owns the changes that the suites make in a mounted snapshot, as functions of its root.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type Change = (root: string) => unknown;

export const write = (path: string, content: string, mode = 0o644): Change => {
  return (root) => writeFileSync(join(root, path), content, { mode });
};
export const directory = (path: string, mode = 0o755): Change => {
  return (root) => mkdirSync(join(root, path), { mode });
};
export const removeAll = (path: string): Change => {
  return (root) => rmSync(join(root, path), { recursive: true });
};
export const all = (...changes: Change[]): Change => {
  return async (root) => {
    for (const change of changes) await change(root);
  };
};
