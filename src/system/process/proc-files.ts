// Room: system. Owns the reading of /proc, whose processes may end at any moment.
import { readdirSync, readFileSync } from "node:fs";

export const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
};

export const namesIn = (path: string): string[] => {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
};

/** The fields of a process's or thread's stat file from its state on: proc(5). Undefined when there is none. */
export function statFields(path: string): string[] | undefined {
  const text = readIfThere(path);
  // The name in brackets may hold anything, brackets and spaces included.
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

export const statFieldsOf = (pid: number): string[] | undefined => statFields(`/proc/${pid}/stat`);
