// Room: service. Owns how a process that ends soon checks what it is given and sends.
import { config } from "zod";

/** Of the schemas that are made after this: to compile one takes longer than all that a command checks by it. */
export const interpretSchemas = (): void => void config({ jitless: true });
