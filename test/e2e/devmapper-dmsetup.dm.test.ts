// Runs snapmill on a thin-pool through dmsetup.
import { describeUp } from "./devmapper-up.ts";

describeUp("dmsetup");
