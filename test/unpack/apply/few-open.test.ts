// Room: test. Owns the applier's tests once more, with two directories held open instead of hundreds: none is used closed.
import { limitOpenDirectories } from "../scratch.ts";

limitOpenDirectories(2);

for (const suite of ["layers", "marks", "hostile", "damage", "gnu-tar"]) await import(`./${suite}.test.ts`);
