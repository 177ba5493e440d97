// Room: bench. Owns that a benchmark finds the programs it needs: imported first, it starts the benchmark again through the
// set-up where one is missing.
import { relative } from "node:path";

const programs = ["redis-server", "containerd", "docker-registry"];

if (programs.some((program) => Bun.which(program) === null)) {
  const root = new URL("..", import.meta.url).pathname;
  const again = ["bash", `${root}scripts/setup.sh`, "bench", relative(root, Bun.main), ...process.argv.slice(2)];
  const child = Bun.spawn(again, { stdio: ["inherit", "inherit", "inherit"] });
  // Ctrl-C reaches both: the one that measures takes down what it made, and ends this one by ending.
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => (signal === "SIGTERM" ? child.kill(signal) : undefined));
  }
  process.exit(await child.exited);
}
