// Room: system. Owns the name of the user that this process runs as.
import { readFileSync } from "node:fs";

/** From /etc/passwd: the runtime's own answer is the variable USER, which a service may lack. "user 1000" without a line. */
export function userName(): string {
  const uid = process.geteuid?.() ?? 0;
  try {
    const lines = readFileSync("/etc/passwd", "utf8").split("\n");
    const line = lines.map((text) => text.split(":")).find(([, , id]) => id === String(uid));
    return line?.[0] ?? `user ${uid}`;
  } catch {
    return `user ${uid}`;
  }
}
