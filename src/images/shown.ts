// Room: images. Owns how a name out of an image is shown in a message: it may hold anything, and be of any length.
import { quoted } from "../domain/quoted.ts";

const plain = /^[A-Za-z0-9._:@+/-]{1,128}$/;

/** As it stands where it is a name like others, otherwise in quotes. */
export const shown = (text: string): string => (plain.test(text) ? text : quoted(text));
